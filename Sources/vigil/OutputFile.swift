import Recordings

/// Results a command leaves in a file, in one piece.
enum OutputFile {
  /// Who may read a file that was not there before.
  enum Readers {
    /// Whoever ran the command: the file holds what is known of patients.
    case owner
    case everyone
  }

  static func write(
    _ bytes: [UInt8], to path: String, for readers: Readers = .owner
  ) throws(CommandFailure) {
    do throws(RecordingError) {
      let output = try RecordingOutput(path: path, mode: readers == .owner ? 0o600 : 0o666)
      try output.write(bytes)
      try output.finish()
    } catch {
      throw CommandFailure(ExitCode.failed, error.description)
    }
  }

  static func write(_ text: String, to path: String, for readers: Readers = .owner) throws(CommandFailure) {
    try write(Array(text.utf8), to: path, for: readers)
  }
}
