/* A libvulkan.so.1 that forwards to the real one and lets things go wrong on demand: calls that fail, devices that lack
 * something or are other than they are, kernels that do nothing. It counts what was made and not destroyed.
 *
 * A test that links it gets it where the driver opens "libvulkan.so.1"; a program gets it by LD_PRELOAD, which shows it
 * nodes in /dev too where devices are pretended, and its orders by the variable VULKAN_FAULTS. Orders are words with a
 * space between:
 *
 *   make=N submit=N wait=N   the N-th call of that kind from now on (0: the next) fails; so do all submits and waits
 *                            after one that failed, for the device is lost
 *   hang=N                   the device never finishes what the N-th wait, or a later one, is for; the limit of a
 *                            wait is over at once, and one without a limit fails
 *   step=N                   the same of the N-th submission with two lists or more
 *   result=R                 the VkResult of a failing `make` (-2: out of device memory, unless said)
 *   devices=K,K,...          the devices, all of them the real one under another kind: discrete, integrated, virtual,
 *                            other, software; none: there is none
 *   card=N                   all of them sit on the PCI bus N
 *   version=1.1              of their driver
 *   heap=BYTES               the most of each heap
 *   no_feature=NAME  no_extension=NAME  no_compute  no_subgroups  no_function=NAME  old_loader  no_instance  no_nodes
 *   drop=N                   dispatches of the N-th pipeline made are left out */
#ifndef PIO_TESTS_VULKAN_FAULTS_H
#define PIO_TESTS_VULKAN_FAULTS_H

typedef enum vulkan_faults_kind {
    VULKAN_FAULTS_MAKE, /* creating, allocating, mapping, beginning and ending command buffers */
    VULKAN_FAULTS_SUBMIT,
    VULKAN_FAULTS_WAIT,
    VULKAN_FAULTS_KINDS
} vulkan_faults_kind;

/* Forgets all orders, obeys these, and counts from 0. Not while devices are at work. */
void vulkan_faults_order(const char *orders);

/* Calls of a kind since. */
long vulkan_faults_count(vulkan_faults_kind kind);

/* Objects that are there, and pipelines made since. */
long vulkan_faults_live(void);
long vulkan_faults_pipelines(void);

#endif
