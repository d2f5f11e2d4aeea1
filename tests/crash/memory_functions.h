// Which names of the memory functions does the compiler see through? None: read before each source
// of a build with WARREN_STORE_EVENTS (cmake/StoreEvents.cmake).
#pragma once

#include <string.h>

#define __builtin_memcpy memcpy
#define __builtin_memmove memmove
#define __builtin_memset memset
