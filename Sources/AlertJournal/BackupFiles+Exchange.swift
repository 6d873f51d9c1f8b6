import CRename
import Glibc

extension BackupFiles {
  /// Puts a folder in the place of another, and that one under a third name, so that a power cut leaves the place taken by
  /// one of the two.
  ///
  /// On a file system that cannot exchange names the place is empty for a moment; ``leftovers(beside:)`` then names both.
  static func exchange(_ path: String, with fresh: String, aside: String) throws(BackupError) {
    guard !exists(aside) else { throw .exists(path: aside) }
    guard rename(fresh, aside) == 0 else { throw failure(aside) }
    if vigil_exchange_names(aside, path) != 0 {
      guard rename(aside, fresh) == 0, rename(path, aside) == 0 else { throw failure(path) }
      guard rename(fresh, path) == 0 else {
        let failure = failure(path)
        rename(aside, path)
        throw failure
      }
    }
    try syncFolder(parent(path))
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
