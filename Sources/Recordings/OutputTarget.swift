import Glibc

/// What stands under the name of an output before anything is written.
package struct OutputTarget {
  package enum Kind: Sendable {
    case absent, file, folder
    /// A device or a pipe: written to, never replaced.
    case other
  }

  package let kind: Kind
  /// Symbolic links followed, the last one too.
  package let path: String
  /// Equal for two names of one file, whether or not it is there.
  package let identity: String
  private let about: stat?

  package init(_ path: String) {
    var about = stat()
    guard stat(path, &about) == 0 else {
      kind = .absent
      self.about = nil
      let made = OutputTarget.followed(path)
      let folder = OutputTarget.real(OutputTarget.folder(of: made)) ?? OutputTarget.folder(of: made)
      self.path = (folder == "/" ? "" : folder) + "/" + OutputTarget.name(of: made)
      identity = self.path
      return
    }
    switch about.st_mode & S_IFMT {
    case S_IFREG: kind = .file
    case S_IFDIR: kind = .folder
    default: kind = .other
    }
    self.about = about
    self.path = OutputTarget.real(path) ?? path
    identity = OutputTarget.identity(about)
  }

  /// The folder a new file would be in.
  package var folder: String { OutputTarget.folder(of: path) }

  /// Whether this process may write there: into the file, or into the folder of one that is not there.
  package var isWritable: Bool {
    kind == .absent ? access(folder, W_OK | X_OK) == 0 : access(path, W_OK) == 0
  }

  /// Gives the mode of this file to its successor, and its owner where that is allowed.
  func give(to descriptor: Int32) {
    guard let about else { return }
    _ = fchown(descriptor, about.st_uid, about.st_gid)
    _ = fchmod(descriptor, about.st_mode & 0o777)
  }

  static func identity(of descriptor: Int32) -> String? {
    var about = stat()
    return fstat(descriptor, &about) == 0 ? identity(about) : nil
  }

  private static func identity(_ about: stat) -> String { "\(about.st_dev) \(about.st_ino)" }

  /// Links to what is not there yet; the kernel gives up after as many.
  private static let linksMax = 40

  private static func followed(_ path: String) -> String {
    var path = path
    let size = Int(PATH_MAX)
    var bytes = [CChar](repeating: 0, count: size)
    for _ in 0..<linksMax {
      let count = readlink(path, &bytes, size)
      guard count > 0 else { break }
      let next = String(decoding: bytes[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
      path = next.hasPrefix("/") ? next : folder(of: path) + "/" + next
    }
    return path
  }

  private static func real(_ path: String) -> String? {
    guard let found = realpath(path, nil) else { return nil }
    defer { free(found) }
    return String(validatingCString: found)
  }

  private static func folder(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  private static func name(of path: String) -> String {
    path.lastIndex(of: "/").map { String(path[path.index(after: $0)...]) } ?? path
  }
}
