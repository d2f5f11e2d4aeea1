// What does INFO say?
//
// Redis's sections and field names, so that its monitoring tools can read them, as far as the thing
// exists here; what does not exist and is not plainly 0 is left out.
#pragma once

#include <string>

#include "backend/command.h"

namespace warren {

// The sections named in `sections` (any case, unknown ones are ignored); none: the default ones.
std::string InfoText(Args sections);

}  // namespace warren
