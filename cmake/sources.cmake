# Sources are found, not listed: a new kernel file needs no edit here. A file's suffix says for which instructions it is
# compiled; everything else is compiled for any x86-64, so that one executable runs on all of them.
set(PIO_ISA_avx2 -mavx2 -mfma -mf16c -mbmi2)
set(PIO_ISA_avx512 ${PIO_ISA_avx2} -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512cd -mavx512vnni -mprefer-vector-width=512)
set(PIO_ISA_avx512bf16 ${PIO_ISA_avx512} -mavx512bf16)
set(PIO_ISA_amx ${PIO_ISA_avx512bf16} -mamx-tile -mamx-int8 -mamx-bf16)

if(NOT PIO_HAS_VULKAN)
    set(PIO_WITHOUT "${CMAKE_SOURCE_DIR}/hal/vulkan/")
endif()
set(PIO_LAYERS base hal kernels graph io text models engine api)
set(PIO_SOURCES)
foreach(layer ${PIO_LAYERS})
    file(GLOB_RECURSE found CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${layer}/*.c)
    if(PIO_WITHOUT)
        list(FILTER found EXCLUDE REGEX "^${PIO_WITHOUT}")
    endif()
    list(APPEND PIO_SOURCES ${found})
endforeach()

foreach(source ${PIO_SOURCES})
    foreach(isa avx2 avx512 avx512bf16 amx)
        if(source MATCHES "_${isa}\\.c$")
            set(options ${PIO_ISA_${isa}})
            if(PIO_FUZZ) # not what is fuzzed, and clang takes minutes to instrument unrolled intrinsics
                list(APPEND options -fno-sanitize=all)
            elseif(PIO_SANITIZE) # gcc takes a third of the time that it takes with -O3, and intrinsics are what they are
                list(APPEND options -O1)
            endif()
            set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "${options}")
        endif()
    endforeach()
endforeach()

if(PIO_SANITIZE) # a probe measures: instrumented, it would measure the sanitizers, and takes minutes
    set(probes ${PIO_SOURCES})
    list(FILTER probes INCLUDE REGEX "/kernels/probe/probe_(portable|avx[0-9a-z]*|amx)\\.c$")
    set_property(SOURCE ${probes} APPEND PROPERTY COMPILE_OPTIONS -fno-sanitize=all)
endif()

add_library(pio_objects OBJECT ${PIO_SOURCES})
target_include_directories(pio_objects PUBLIC ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/include)
target_link_libraries(pio_objects PUBLIC PkgConfig::JANSSON PkgConfig::PCRE2 PkgConfig::PNG PkgConfig::JPEG
                      PkgConfig::WEBP Threads::Threads ${CMAKE_DL_LIBS} m)

target_compile_definitions(pio_objects PUBLIC PIO_HAS_VULKAN=${PIO_HAS_VULKAN} PIO_MATRIX_KHR=${PIO_MATRIX_KHR})
if(PIO_HAS_VULKAN)
    file(GLOB_RECURSE PIO_SHADERS CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/kernels/*.comp)
    pio_add_shaders(pio_objects ${PIO_SHADERS})
endif()

add_library(inference_pio SHARED)
target_link_libraries(inference_pio PRIVATE pio_objects)
set_target_properties(inference_pio PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION 0)

file(GLOB PIO_CLI_SOURCES CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/apps/cli/*.c)
if(PIO_CLI_SOURCES)
    add_executable(inference-pio ${PIO_CLI_SOURCES})
    target_link_libraries(inference-pio PRIVATE pio_objects)
endif()

# tools/<name>.c and bench/<name>.c are one small program each.
file(GLOB PIO_TOOL_SOURCES CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tools/*.c ${CMAKE_SOURCE_DIR}/bench/*.c)
foreach(source ${PIO_TOOL_SOURCES})
    get_filename_component(name ${source} NAME_WE)
    add_executable(${name} ${source})
    target_link_libraries(${name} PRIVATE pio_objects)
endforeach()
