#include <cblas.h>
#include <lapacke.h>
// mallopt: the Swift overlay of the C library leaves it out.
#if __has_include(<malloc.h>)
#include <malloc.h>
#endif
