// Functions of libraries that fail when they are told to. The names are defined in the program of the tests,
// where they come before those of the libraries, and call these; so a test needs neither a full disk nor to
// run out of memory.

/// From now on the `at`-th call of `function` by this thread, counted from 1, fails. What says why in
/// `errno` says `code`; where that is 0, a read finds the end of the file.
void faults_begin(const char *function, int at, int code);

/// No call fails any more. Whether one has.
int faults_end(void);
