/* What a failed system call says, in words. */
#ifndef COWSHED_ERROR_TEXT_H
#define COWSHED_ERROR_TEXT_H

/* Like strerror(), which in musl has no words for a filesystem that is damaged. */
const char *error_text(int error);

#endif
