# Shaders: <name>.comp becomes SPIR-V for Vulkan 1.2, optimised and validated, and lies in the executable as the symbol
# pio_spv_<name> (a pio_code).
find_program(PIO_GLSLC glslc)
find_program(PIO_SPIRV_VAL spirv-val)
set(PIO_VULKAN AUTO CACHE STRING "The Vulkan backend: AUTO (where its headers and glslc are), ON or OFF")
find_path(PIO_VULKAN_HEADERS vulkan/vulkan.h)
set(PIO_HAS_VULKAN 0)
if(PIO_GLSLC AND PIO_SPIRV_VAL AND PIO_VULKAN_HEADERS AND NOT PIO_VULKAN STREQUAL "OFF")
    set(PIO_HAS_VULKAN 1)
elseif(PIO_VULKAN STREQUAL "ON")
    message(FATAL_ERROR "PIO_VULKAN=ON needs vulkan/vulkan.h, glslc and spirv-val: install libvulkan-dev, glslc and spirv-tools")
endif()

# Adds shaders to a target.
function(pio_add_shaders target)
    foreach(source ${ARGN})
        get_filename_component(name ${source} NAME_WE)
        set(base ${CMAKE_BINARY_DIR}/shaders/${name})
        file(CONFIGURE OUTPUT ${base}.c CONTENT
"#include \"hal/hal.h\"
static const uint32_t words[] =
#include \"shaders/${name}.inc\"
;
extern const pio_code pio_spv_${name};
const pio_code pio_spv_${name} = {words, sizeof words};
")
        set(compile ${PIO_GLSLC} --target-env=vulkan1.2 -O -Werror -DPIO_GLSL -I${CMAKE_SOURCE_DIR} ${source})
        add_custom_command(
            OUTPUT ${base}.inc ${base}.spv
            COMMAND ${compile} -o ${base}.spv -MD -MF ${base}.d -MT ${base}.inc
            COMMAND ${PIO_SPIRV_VAL} --target-env vulkan1.2 --scalar-block-layout ${base}.spv
            COMMAND ${compile} -mfmt=c -o ${base}.inc
            DEPENDS ${source} DEPFILE ${base}.d VERBATIM)
        target_sources(${target} PRIVATE ${base}.c)
        set_source_files_properties(${base}.c PROPERTIES OBJECT_DEPENDS ${base}.inc)
    endforeach()
    target_include_directories(${target} PRIVATE ${CMAKE_BINARY_DIR})
endfunction()
