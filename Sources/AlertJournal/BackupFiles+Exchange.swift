import Glibc

extension BackupFiles {
  /// Puts a folder in the place of another, and that one under a third name, so that a power cut leaves the place taken by
  /// one of the two.
  ///
  /// On a file system that cannot exchange names the place is empty for a moment; ``leftovers(beside:)`` then names both.
  static func exchange(_ path: String, with fresh: String, aside: String) throws(BackupError) {
    guard !exists(aside) else { throw .exists(path: aside) }
    guard rename(fresh, aside) == 0 else { throw failure(aside) }
    if !swapNames(aside, path) {
      guard rename(aside, fresh) == 0, rename(path, aside) == 0 else { throw failure(path) }
      guard rename(fresh, path) == 0 else {
        let failure = failure(path)
        rename(aside, path)
        throw failure
      }
    }
    try syncFolder(parent(path))
  }

  /// The kernel's exchange of two names; false where file system or library have none.
  private static func swapNames(_ one: String, _ other: String) -> Bool {
    // Swift does not see it: glibc declares it only for programs that ask for its own extensions.
    typealias Rename = @convention(c) (Int32, UnsafePointer<CChar>, Int32, UnsafePointer<CChar>, UInt32) -> Int32
    let exchanging: UInt32 = 2
    guard let found = dlsym(nil, "renameat2") else { return false }
    let rename = unsafeBitCast(found, to: Rename.self)
    return rename(AT_FDCWD, one, AT_FDCWD, other, exchanging) == 0
  }

  static func parent(_ path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  /// Names of what a repair left beside a path where no store is: it was cut off between taking the damaged one away and
  /// putting the rebuilt one there. Empty when a store is there, or nothing beside.
  static func leftovers(beside path: String) -> [String] {
    guard !exists(path) else { return [] }
    let name = path.split(separator: "/").last.map(String.init) ?? path
    return ((try? names(parent(path))) ?? []).filter { $0 == name + ".rebuilt" || $0.hasPrefix(name + ".damaged-") }
  }
}
