/// The top folder of the package, for tests that read what ships.
package enum RepositoryRoot {
  /// The absolute path, without a trailing slash.
  package static let path = #filePath.split(separator: "/").dropLast(3).map { "/\($0)" }.joined()
}
