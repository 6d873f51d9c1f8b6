import Foundation

/// A fresh folder that goes away with the last reference to it.
package final class TemporaryDirectory: Sendable {
  /// The absolute path, without a trailing slash.
  package let path: String

  /// Makes the folder, readable by its owner only.
  package init(_ label: String = "test") throws {
    let parent = FileManager.default.temporaryDirectory.path
    var template = Array("\(parent)/vigil-\(label)-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw SupportError.system("mkdtemp", errno) }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// The path of `name` inside the folder; nothing is created.
  package func file(_ name: String) -> String { "\(path)/\(name)" }

  /// Writes `text` to `name` inside the folder, made with the folders it names, and returns its path.
  package func write(_ text: String, to name: String) throws -> String {
    let target = file(name)
    if name.contains("/") {
      let folder = URL(fileURLWithPath: target).deletingLastPathComponent()
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }
    try text.write(toFile: target, atomically: true, encoding: .utf8)
    return target
  }
}

/// What can go wrong while a test prepares its surroundings.
package enum SupportError: Error, CustomStringConvertible {
  /// A system call failed: its name and errno.
  case system(String, Int32)
  /// A child process did not do what the fixture needs: what it said.
  case child(String)
  /// A condition did not come true in time: which.
  case timedOut(String)

  package var description: String {
    switch self {
    case .system(let call, let code): "\(call): \(String(cString: strerror(code)))"
    case .child(let text): text
    case .timedOut(let what): "timed out: \(what)"
    }
  }
}
