import Recordings

/// Holds the files a command will write against those it reads, before any work is done.
enum OutputCheck {
  /// Options of replays and what stands on them that name a file to read.
  static let read = ["--labels", "--roster", "--events", "-c", "--alerting", "--inputs"]

  /// - Parameters:
  ///   - writing: options that name a file to write; `-` is standard output.
  ///   - reading: options that name a file or a folder to read.
  ///   - inputs: further files and folders; what lies in a folder that is read counts as read.
  /// - Throws: a usage failure where one file would be read and written or written twice; a failure where a file could
  ///   not be written.
  static func run(
    _ command: String, _ arguments: Arguments, writing: [String], reading: [String], inputs: [String]
  ) throws(CommandFailure) {
    var names = inputs + reading.flatMap(arguments.all)
    if reading.contains("--rules"), !arguments.has("--rules") { names.append("Rules") }
    let read = names.map { ($0, OutputTarget($0)) }
    var written: [(flag: String, target: OutputTarget)] = []
    for flag in writing {
      guard let path = arguments.value(flag), path != "-" else { continue }
      let target = OutputTarget(path)
      try check(target, named: path, flag, command)
      if target.kind == .other { continue }
      if let (input, _) = read.first(where: { isSame(target, $0.1) }) {
        throw CommandFailure(
          ExitCode.usage,
          "\(command): `\(flag) \(path)` would be written over what is read from \(input): name another file")
      }
      if let other = written.first(where: { $0.target.identity == target.identity }) {
        throw CommandFailure(
          ExitCode.usage, "\(command): `\(other.flag)` and `\(flag)` name the same file, \(path)")
      }
      written.append((flag, target))
    }
  }

  private static func check(
    _ target: OutputTarget, named path: String, _ flag: String, _ command: String
  ) throws(CommandFailure) {
    guard !path.isEmpty else { throw CommandFailure(ExitCode.usage, "\(command): `\(flag)` names no file") }
    guard target.kind != .folder else {
      throw CommandFailure(ExitCode.failed, "\(path): is a folder: name a file for `\(flag)`")
    }
    guard target.kind != .absent || OutputTarget(target.folder).kind == .folder else {
      throw CommandFailure(ExitCode.failed, "\(path): cannot be written: there is no folder \(target.folder)")
    }
    guard target.isWritable else {
      throw CommandFailure(ExitCode.failed, "\(path): cannot be written: no permission")
    }
  }

  /// One file, or a file that is there already below a folder that is read.
  private static func isSame(_ target: OutputTarget, _ input: OutputTarget) -> Bool {
    guard input.kind == .folder else { return target.identity == input.identity && input.kind != .other }
    return target.kind == .file && target.path.hasPrefix(input.path == "/" ? "/" : input.path + "/")
  }
}
