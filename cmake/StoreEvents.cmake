# WARREN_STORE_EVENTS: every load and store of the project's code, each memory function and each
# system call is told to tests/crash/store_events.h. Included before the first folder; what is made
# above is not instrumented.
add_library(store_events STATIC tests/crash/store_events.cpp tests/crash/call_events.cpp)
target_include_directories(store_events PUBLIC ${PROJECT_SOURCE_DIR})
target_compile_options(store_events PRIVATE -fno-builtin -Wno-missing-declarations)
foreach(call memcpy memmove memset mmap open read pread write pwrite fsync fdatasync
        posix_fallocate ftruncate rename unlink recv send poll ppoll kill syscall)
  target_link_options(store_events INTERFACE -Wl,--wrap=${call})
endforeach()
target_link_libraries(warren_vocabulary INTERFACE store_events)

# Rules that can be broken on purpose, to see that the sweeps notice (base/seeded_bug.h).
add_compile_definitions(WARREN_SEEDED_BUGS)

# Compiled only: the sanitizer's own library stays out. The compiler would do what it knows of the
# memory functions with stores of its own, behind the instrumentation: it must not know them, not
# even by the names that the standard library uses.
add_compile_options(-fsanitize=thread --param=tsan-instrument-func-entry-exit=0 -Wno-tsan -fno-builtin
                    -include ${PROJECT_SOURCE_DIR}/tests/crash/memory_functions.h)
