import Glibc

/// Bytes to a file or to an open descriptor, all of them or an error.
///
/// A regular file is replaced by ``finish()`` and not before: until then the bytes stand beside it, and go with this object.
/// Devices and pipes are written to, symbolic links followed, and a file that is replaced keeps its mode.
package final class RecordingOutput {
  private var descriptor: Int32
  private let name: String
  /// What becomes the file in the end; nil: it is written where it stands.
  private var part: (path: String, target: String)?

  /// Makes or replaces the file at `path`; `-` is standard output.
  ///
  /// - Parameter mode: of a new file: its owner's alone, unless it holds nothing about patients.
  package init(path: String, mode: mode_t = 0o600) throws(RecordingError) {
    name = path == "-" ? "standard output" : path
    let target = OutputTarget(path)
    descriptor = path == "-" ? RecordingOutput.duplicate(1) : RecordingOutput.standard(target)
    guard descriptor < 0, path != "-" else {
      guard descriptor >= 0 else { throw .unwritable(file: name, code: errno) }
      return
    }
    let beside = "\(target.path).part-\(getpid())"
    switch target.kind {
    case .absent:
      descriptor = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode)
      part = (beside, target.path)
    case .file:
      descriptor = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
      if descriptor >= 0 {
        part = (beside, target.path)
        target.give(to: descriptor)
      } else if errno == EACCES || errno == EPERM || errno == EROFS {
        // A file that may be written in a folder that may not.
        descriptor = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC)
      }
    case .folder, .other: descriptor = open(path, O_WRONLY | O_CLOEXEC)
    }
    guard descriptor >= 0 else {
      let code = errno
      part = nil
      throw .unwritable(file: name, code: code)
    }
  }

  /// Opens the file at `path` to be written where it stands, so that it can be read, and gone on from, before it is whole.
  ///
  /// - Parameter kept: bytes of it that stay; what follows them goes.
  package init(growing path: String, from kept: Int) throws(RecordingError) {
    name = path
    let target = OutputTarget(path)
    descriptor = RecordingOutput.standard(target)
    if descriptor >= 0 { return }
    descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw .unwritable(file: path, code: errno) }
    guard target.kind == .file || target.kind == .absent else { return }
    guard ftruncate(descriptor, kept) == 0, lseek(descriptor, kept, SEEK_SET) == kept else {
      throw .unwritable(file: path, code: errno)
    }
  }

  deinit {
    if descriptor >= 0 { close(descriptor) }
    if let part { unlink(part.path) }
  }

  package func write(_ bytes: [UInt8]) throws(RecordingError) {
    let code: Int32 = bytes.withUnsafeBytes { buffer in
      var rest = buffer[...]
      while !rest.isEmpty {
        let size = Glibc.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
        if size >= 0 { rest = rest.dropFirst(size) } else if errno != EINTR { return errno }
      }
      return 0
    }
    guard code == 0 else { throw .unwritable(file: name, code: code) }
  }

  /// Puts the file in its place. To be called once, after the last ``write(_:)``.
  package func finish() throws(RecordingError) {
    let closing = descriptor
    descriptor = -1
    guard close(closing) == 0 else { throw .unwritable(file: name, code: errno) }
    guard let part else { return }
    guard rename(part.path, part.target) == 0 else { throw .unwritable(file: name, code: errno) }
    self.part = nil
  }

  /// The standard output or error that `target` is; -1: neither.
  private static func standard(_ target: OutputTarget) -> Int32 {
    guard target.kind == .file else { return -1 }
    for descriptor in [Int32(1), 2] where OutputTarget.identity(of: descriptor) == target.identity {
      return duplicate(descriptor)
    }
    return -1
  }

  private static func duplicate(_ descriptor: Int32) -> Int32 { fcntl(descriptor, F_DUPFD_CLOEXEC, 3) }
}
