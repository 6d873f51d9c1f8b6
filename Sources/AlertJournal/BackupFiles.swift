import Digests
import Glibc

/// Why a backup, an archive or a restored store could not be made or read. Texts name files, never what is in them.
package enum BackupError: Error, Equatable, Sendable {
  /// A file could not be read or written.
  case file(path: String, String)
  /// A file of the backup set is not as it was written.
  case damaged(path: String, String)
  /// What was asked for is not in the backup set.
  case absent(String)
  /// Another process is writing to the backup set.
  case inUse(path: String)
  /// The place for the restored store is taken.
  case exists(path: String)
  /// The store refused.
  case store(StoreTrouble)

  /// The store's error in words: `StoreError` and `JournalError` say the same.
  package struct StoreTrouble: Error, Equatable, Sendable {
    package var text: String
    init(_ error: any Error) { text = "\(error)" }
  }
}

extension BackupError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .file(let path, let reason): "\(path): \(reason)"
    case .damaged(let path, let reason): "\(path): damaged: \(reason)"
    case .absent(let what): what
    case .inUse(let path): "\(path): another backup is being written here; wait for its end"
    case .exists(let path): "\(path): is there already; a restore never overwrites: choose another --store"
    case .store(let trouble): trouble.text
    }
  }
}

/// Runs calls on a store and gives their errors the type of this part.
func backing<Value>(_ call: () throws -> Value) throws(BackupError) -> Value {
  do {
    return try call()
  } catch let error as BackupError {
    throw error
  } catch {
    throw .store(.init(error))
  }
}

/// Files and folders for backups: whole or absent after a power cut.
enum BackupFiles {
  static func failure(_ path: String) -> BackupError { .file(path: path, String(cString: strerror(errno))) }

  static func exists(_ path: String) -> Bool {
    var status = stat()
    return lstat(path, &status) == 0
  }

  /// Makes a folder for its owner only, and the one above it if missing.
  static func makeFolder(_ path: String) throws(BackupError) {
    if mkdir(path, 0o700) == 0 || errno == EEXIST { return }
    guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex else { throw failure(path) }
    try makeFolder(String(path[..<slash]))
    guard mkdir(path, 0o700) == 0 || errno == EEXIST else { throw failure(path) }
  }

  /// Names in a folder, sorted; none when there is no such folder.
  ///
  /// - Throws: `.file` when the list may lack something: what is dropped for not being in it would then be lost.
  static func names(_ path: String) throws(BackupError) -> [String] {
    guard let folder = opendir(path) else {
      guard errno == ENOENT else { throw failure(path) }
      return []
    }
    defer { closedir(folder) }
    var names: [String] = []
    while true {
      errno = 0
      guard let entry = readdir(folder) else {
        guard errno == 0 else { throw failure(path) }
        return names.sorted()
      }
      let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
  }

  /// Makes what happened in a folder survive a power cut.
  static func syncFolder(_ path: String) throws(BackupError) {
    let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw failure(path) }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw failure(path) }
  }

  static func read(_ path: String, limit: Int = 64 << 20) throws(BackupError) -> [UInt8] {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw failure(path) }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = piece.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
      guard count >= 0 else { throw failure(path) }
      guard count > 0 else { return bytes }
      bytes += piece[..<count]
      guard bytes.count <= limit else { throw .damaged(path: path, "more than \(limit) bytes") }
    }
  }

  /// Puts a file in place whole: written beside it, synced, renamed.
  static func write(_ bytes: [UInt8], to path: String, in folder: String) throws(BackupError) {
    let temporary = path + ".new"
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw failure(temporary) }
    let isWritten = writeAll(descriptor, bytes[...]) && fsync(descriptor) == 0
    guard close(descriptor) == 0, isWritten, rename(temporary, path) == 0 else { throw failure(path) }
    try syncFolder(folder)
  }

  static func writeAll(_ descriptor: Int32, _ bytes: ArraySlice<UInt8>) -> Bool {
    bytes.withUnsafeBytes { raw in
      var offset = 0
      while offset < raw.count {
        let count = Glibc.write(descriptor, raw.baseAddress.map { $0 + offset }, raw.count - offset)
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { return false }
        offset += count
      }
      return true
    }
  }

  /// What copying or reading a file through found.
  struct Passage {
    var digest: String
    var bytes: UInt64
  }

  /// Copies a file and syncs the copy; or only reads it when `target` is nil.
  static func pass(
    _ source: String, to target: String?, _ progress: (Int) -> Void = { _ in }
  ) throws(BackupError) -> Passage {
    let from = open(source, O_RDONLY | O_CLOEXEC)
    guard from >= 0 else { throw failure(source) }
    defer { close(from) }
    var into: Int32 = -1
    if let target {
      into = open(target, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
      guard into >= 0 else { throw failure(target) }
    }
    defer { if into >= 0 { close(into) } }
    var hasher = Sha256()
    var total: UInt64 = 0
    var piece = [UInt8](repeating: 0, count: 1 << 20)
    while true {
      let count = piece.withUnsafeMutableBytes { Glibc.read(from, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw failure(source) }
      if count == 0 { break }
      piece.withUnsafeBytes { hasher.update(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
      if let target, !writeAll(into, piece[..<count]) { throw failure(target) }
      total += UInt64(count)
      progress(count)
    }
    if let target, fsync(into) != 0 { throw failure(target) }
    return Passage(digest: hex(hasher.finalize()), bytes: total)
  }

  /// Size and time of last change (nanoseconds since 1970) of a plain file; nil when it is none.
  static func facts(_ path: String) -> (bytes: UInt64, modified: Int64)? {
    var status = stat()
    guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
    return (UInt64(status.st_size), Int64(status.st_mtim.tv_sec) * 1_000_000_000 + Int64(status.st_mtim.tv_nsec))
  }

  /// Plain files below a folder, as paths within it.
  static func files(below path: String, prefix: String = "") throws(BackupError) -> [String] {
    var found: [String] = []
    for name in try names(path) {
      var status = stat()
      guard lstat(path + "/" + name, &status) == 0 else {
        guard errno == ENOENT else { throw failure(path + "/" + name) }
        continue
      }
      if status.st_mode & S_IFMT == S_IFREG { found.append(prefix + name) }
      if status.st_mode & S_IFMT == S_IFDIR {
        found += try files(below: path + "/" + name, prefix: prefix + name + "/")
      }
    }
    return found
  }

  /// Takes away a folder and what is in it; what is not there is no error.
  static func removeTree(_ path: String) {
    for name in (try? names(path)) ?? [] {
      var status = stat()
      let one = path + "/" + name
      if lstat(one, &status) == 0, status.st_mode & S_IFMT == S_IFDIR { removeTree(one) } else { unlink(one) }
    }
    rmdir(path)
  }
}

/// Holds a backup set, or a store's checkpoint, for one user: released with the value, or with the process.
package final class BackupLock {
  private let descriptor: Int32

  init(_ folder: String, name: String = "lock") throws(BackupError) {
    let path = folder + "/" + name
    descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw BackupFiles.failure(path) }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      close(descriptor)
      throw .inUse(path: folder)
    }
  }

  deinit { close(descriptor) }
}
