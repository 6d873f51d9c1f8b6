import Foundation
import Glibc
import Testing

/// The same protocol, checked by spin: an explorer written by others, on a model written apart from the Swift one.
@Suite struct RingPromelaTests {
  private static let spin = "/usr/bin/spin"
  private static let compiler = "/usr/bin/cc"

  private static var hasTools: Bool {
    access(spin, X_OK) == 0 && access(compiler, X_OK) == 0
  }

  @Test(
    .enabled(if: hasTools, "SKIPPED: the Promela model needs /usr/bin/spin and /usr/bin/cc"),
    arguments: [[], ["-DFAN"]])
  func shippedProtocolHasNoErrors(defines: [String]) throws {
    let report = try verify(defines)
    #expect(report.contains("errors: 0"))
    #expect(report.contains("invalid end states\t+"), "deadlock search was not on")
    #expect(!report.contains("search not completed") && !report.contains("max search depth too small"))
  }

  @Test(
    .enabled(if: hasTools, "SKIPPED: the Promela model needs /usr/bin/spin and /usr/bin/cc"),
    arguments: ["-DNO_COUNT", "-DNO_RECHECK", "-DNO_BARRIER"])
  func modelFindsWhatALeftOutPartBreaks(define: String) throws {
    #expect(try verify([define]).contains("errors: 1"))
  }

  /// Generates, compiles and runs the verifier in a folder of its own; returns its report.
  private func verify(_ defines: [String]) throws -> String {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("ring-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let model = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("ring.pml")
    try FileManager.default.copyItem(at: model, to: folder.appendingPathComponent("ring.pml"))
    let commands =
      "cd '\(folder.path)' && \(Self.spin) \(defines.joined(separator: " ")) -a ring.pml"
      + " && \(Self.compiler) -O2 -w -DCOLLAPSE -o pan pan.c && ./pan -m100000"
    let output = folder.appendingPathComponent("report").path
    let status = try run(["/bin/sh", "-c", commands], output: output)
    #expect(status == 0)
    return try String(contentsOfFile: output, encoding: .utf8)
  }

  /// Runs a program to its end with no signals blocked; returns its exit status.
  private func run(_ arguments: [String], output: String) throws -> Int32 {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    posix_spawn_file_actions_adddup2(&actions, 1, 2)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
    var words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) }
    defer { for word in words { free(word) } }
    words.append(nil)
    var child = pid_t()
    let spawned = posix_spawn(&child, arguments[0], &actions, &attributes, words, environ)
    try #require(spawned == 0)
    var status: Int32 = 0
    while waitpid(child, &status, 0) == -1 && errno == EINTR {}
    return (status >> 8) & 255
  }
}
