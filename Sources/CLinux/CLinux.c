#include "CLinux.h"
int crl_nothing(void){return 0;}
