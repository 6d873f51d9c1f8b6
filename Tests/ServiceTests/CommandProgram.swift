import Foundation
import TestSupport

/// The built `vigil`, started as a person would start it.
struct CommandProgram {
  let folder: TemporaryDirectory

  init(_ label: String) throws { folder = try TemporaryDirectory(label) }

  /// How a command ended and what it said.
  struct Outcome {
    var status: ExitStatus?
    var stdout: String
    var stderr: String
  }

  static let rules = RepositoryRoot.path + "/Rules"

  /// Products are linked into one folder: the program lies beside the test bundle.
  static func path() throws -> String {
    let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    var folder = URL(fileURLWithPath: own).deletingLastPathComponent()
    for argument in [own] + CommandLine.arguments where argument.contains(".build/") || argument.contains(".xctest") {
      folder = URL(fileURLWithPath: argument).deletingLastPathComponent()
    }
    let program = folder.appendingPathComponent("vigil").path
    guard FileManager.default.isExecutableFile(atPath: program) else {
      throw SupportError.child("no program \(program)")
    }
    return program
  }

  /// Starts a command without waiting for its end.
  func start(_ arguments: [String], environment: [String: String] = [:]) throws -> ChildProcess {
    let output = folder.file("out-\(UInt64.random(in: 0 ... .max))")
    return try ChildProcess(try CommandProgram.path(), arguments, environment: environment, output: output)
  }

  func run(_ arguments: [String], seconds: Double = 120) throws -> Outcome {
    let child = try start(arguments)
    let status = child.wait(seconds: seconds)
    return Outcome(status: status, stdout: child.stdout, stderr: child.stderr)
  }

  func bytes(_ name: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: folder.file(name))) }

  func lines(_ name: String) throws -> [String] {
    String(decoding: try bytes(name), as: UTF8.self).split(separator: "\n").map(String.init)
  }
}

/// Reads one JSON object of a test's output; empty where it is none.
func commandJSON(_ text: some StringProtocol) -> [String: Any] {
  (try? JSONSerialization.jsonObject(with: Data(text.utf8))) as? [String: Any] ?? [:]
}
