#include "error-text.h"

#include <errno.h>
#include <string.h>

const char *error_text(int error)
{
	return error == EUCLEAN ? "Structure needs cleaning" : strerror(error);
}
