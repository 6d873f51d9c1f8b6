// Replaced by the tests
