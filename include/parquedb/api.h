#ifndef PQDB_API_H
#define PQDB_API_H

/// Marks what the shared library exports: every public function, nothing else.
#define PQDB_API __attribute__((visibility("default")))

#endif
