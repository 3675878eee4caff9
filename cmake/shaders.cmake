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

# Cooperative matrices: Khronos's extension where glslc and the headers know it, NVIDIA's else.
set(PIO_MATRIX_KHR 0)
if(PIO_HAS_VULKAN)
    file(WRITE ${CMAKE_BINARY_DIR}/shaders/matrix_khr.comp
         "#version 460\n#extension GL_KHR_cooperative_matrix : require\nvoid main() {}\n")
    execute_process(COMMAND ${PIO_GLSLC} --target-env=vulkan1.2 ${CMAKE_BINARY_DIR}/shaders/matrix_khr.comp -o /dev/null
                    RESULT_VARIABLE PIO_NO_MATRIX_KHR OUTPUT_QUIET ERROR_QUIET)
    file(STRINGS ${PIO_VULKAN_HEADERS}/vulkan/vulkan_core.h PIO_HEADERS_MATRIX_KHR REGEX "define VK_KHR_cooperative_matrix ")
    if(NOT PIO_NO_MATRIX_KHR AND PIO_HEADERS_MATRIX_KHR)
        set(PIO_MATRIX_KHR 1)
    endif()
endif()

# Adds shaders to a target. Where a row of the family names <name>_emulated, <name>.comp is compiled once more: the same
# kernel over matrices kept as plain numbers (kernels/dialect/matrix.glsl), so that it can be tried on devices that have
# none.
function(pio_add_shaders target)
    foreach(source ${ARGN})
        get_filename_component(name ${source} NAME_WE)
        get_filename_component(folder ${source} DIRECTORY)
        file(GLOB rows CONFIGURE_DEPENDS ${folder}/*.def)
        file(STRINGS "${rows}" emulated REGEX "[ (]${name}_emulated[,)]")
        set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${rows}) # a row may come to name one
        pio_add_shader(${target} ${source} ${name} -DPIO_MATRIX_KHR=${PIO_MATRIX_KHR})
        if(emulated)
            pio_add_shader(${target} ${source} ${name}_emulated -DPIO_MATRIX_EMULATED)
        endif()
    endforeach()
    target_include_directories(${target} PRIVATE ${CMAKE_BINARY_DIR})
endfunction()

function(pio_add_shader target source name)
    set(base ${CMAKE_BINARY_DIR}/shaders/${name})
    file(CONFIGURE OUTPUT ${base}.c CONTENT
"#include \"hal/hal.h\"
static const uint32_t words[] =
#include \"shaders/${name}.inc\"
;
extern const pio_code pio_spv_${name};
const pio_code pio_spv_${name} = {words, sizeof words};
")
    add_custom_command(
        OUTPUT ${base}.inc ${base}.spv
        COMMAND ${PIO_GLSLC} --target-env=vulkan1.2 -O -Werror -DPIO_GLSL ${ARGN} -I${CMAKE_SOURCE_DIR} ${source}
                -o ${base}.spv -MD -MF ${base}.d -MT ${base}.inc
        COMMAND ${PIO_SPIRV_VAL} --target-env vulkan1.2 --scalar-block-layout ${base}.spv
        COMMAND ${CMAKE_COMMAND} -DIN=${base}.spv -DOUT=${base}.inc -P ${CMAKE_SOURCE_DIR}/cmake/words.cmake
        DEPENDS ${source} ${CMAKE_SOURCE_DIR}/cmake/words.cmake DEPFILE ${base}.d VERBATIM)
    target_sources(${target} PRIVATE ${base}.c)
    set_source_files_properties(${base}.c PROPERTIES OBJECT_DEPENDS ${base}.inc)
endfunction()
