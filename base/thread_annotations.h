// clang's static lock analysis (-Wthread-safety); nothing under other compilers.
#pragma once

#if defined(__clang__)
#define WARREN_TSA(x) __attribute__((x))
#else
#define WARREN_TSA(x)
#endif

#define CAPABILITY(name) WARREN_TSA(capability(name))
#define SCOPED_CAPABILITY WARREN_TSA(scoped_lockable)
#define GUARDED_BY(lock) WARREN_TSA(guarded_by(lock))
#define REQUIRES_EXCLUSIVE(...) WARREN_TSA(requires_capability(__VA_ARGS__))
#define REQUIRES_SHARED(...) WARREN_TSA(requires_shared_capability(__VA_ARGS__))
#define ACQUIRE_EXCLUSIVE(...) WARREN_TSA(acquire_capability(__VA_ARGS__))
#define ACQUIRE_SHARED(...) WARREN_TSA(acquire_shared_capability(__VA_ARGS__))
#define RELEASE_LOCK(...) WARREN_TSA(release_generic_capability(__VA_ARGS__))
#define TRY_ACQUIRE_EXCLUSIVE(...) WARREN_TSA(try_acquire_capability(__VA_ARGS__))
#define TRY_ACQUIRE_SHARED(...) WARREN_TSA(try_acquire_shared_capability(__VA_ARGS__))
#define NO_THREAD_SAFETY_ANALYSIS WARREN_TSA(no_thread_safety_analysis)
