int crl_nothing(void);
