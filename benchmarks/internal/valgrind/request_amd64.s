#include "textflag.h"

// Rotations that cancel out, and an exchange of a register with itself: what
// valgrind.h has for this processor. AX has the address of the request, DX the
// answer if there is nobody to give another.

// func request(args *[6]uint64)
TEXT ·request(SB), NOSPLIT, $0-8
	MOVQ args+0(FP), AX
	XORL DX, DX
	ROLQ $3, DI
	ROLQ $13, DI
	ROLQ $61, DI
	ROLQ $51, DI
	XCHGQ BX, BX
	RET
