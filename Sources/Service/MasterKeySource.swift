import AlertJournal
import Configuration
import Foundation
import Glibc

/// Fetches a master key from where a reference says it is.
package enum MasterKeySource {
  /// One line: what is wrong with the reference, and what to do. It never holds a key.
  package struct Failure: Error, Equatable {
    package var line: String
  }

  /// The longest a program may take to print a key.
  private static let commandSeconds = 10
  /// More than any form of a key.
  private static let bytesMax = 4096

  /// The key; nil for no reference.
  package static func load(_ reference: MasterKeyReference?) throws(Failure) -> MasterKey? {
    try load(reference, commandSeconds: commandSeconds)
  }

  static func load(_ reference: MasterKeyReference?, commandSeconds: Int) throws(Failure) -> MasterKey? {
    guard let reference else { return nil }
    let text: [UInt8]
    switch reference {
    case .secret(.environment(let name)):
      guard let value = ProcessInfo.processInfo.environment[name] else {
        throw Failure(line: "master key \(reference): the variable is not set")
      }
      text = Array(value.utf8)
    case .secret(.file(let path)): text = try read(file: path)
    case .command(let words): text = try run(words, seconds: commandSeconds)
    }
    guard let key = String(validating: text, as: UTF8.self).flatMap({ MasterKey(text: $0) }) else {
      throw Failure(
        line:
          "master key \(reference): not 32 bytes as 64 hexadecimal digits or base64 (`vigil keys generate` makes one)")
    }
    return key
  }

  // MARK: Files

  private static func read(file path: String) throws(Failure) -> [UInt8] {
    let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard file >= 0 else { throw Failure(line: "master key file:\(path): cannot be read") }
    defer { close(file) }
    var facts = stat()
    guard fstat(file, &facts) == 0, facts.st_mode & S_IFMT == S_IFREG, facts.st_size <= bytesMax else {
      throw Failure(line: "master key file:\(path): not a small plain file")
    }
    guard facts.st_mode & 0o077 == 0 else {
      throw Failure(line: "master key file:\(path): others may read it; chmod 600 \(path)")
    }
    guard facts.st_uid == geteuid() || facts.st_uid == 0 else {
      throw Failure(line: "master key file:\(path): it belongs to another user")
    }
    return drain(file)
  }

  private static func drain(_ descriptor: Int32) -> [UInt8] {
    var text: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: bytesMax)
    while text.count <= bytesMax {
      let count = Glibc.read(descriptor, &chunk, chunk.count)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { break }
      text += chunk[..<count]
    }
    return text
  }

  // MARK: Programs

  /// Runs a program that prints the key. Its environment is ours, its standard input is empty, its complaints are seen.
  private static func run(_ words: [String], seconds: Int) throws(Failure) -> [UInt8] {
    let name = "master key command:\(words[0])"
    var ends: [Int32] = [0, 0]
    guard pipe(&ends) == 0 else { throw Failure(line: "\(name): no pipe can be made") }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    defer { close(ends[0]) }
    guard let child = spawn(words, output: ends[1]) else {
      close(ends[1])
      throw Failure(line: "\(name): cannot be run")
    }
    close(ends[1])
    let text = drain(ends[0], until: ContinuousClock.now + .seconds(seconds))
    if text == nil { kill(child, SIGKILL) }
    var status: Int32 = 0
    while waitpid(child, &status, 0) < 0, errno == EINTR {}
    guard let text else { throw Failure(line: "\(name): gave no key within \(seconds) s") }
    // As WIFEXITED and WEXITSTATUS, macros Swift does not see.
    guard status == 0 else {
      let how = status & 0x7F == 0 ? "exit code \(status >> 8)" : "signal \(status & 0x7F)"
      throw Failure(line: "\(name): ended with \(how)")
    }
    return text
  }

  private static func spawn(_ words: [String], output: Int32) -> pid_t? {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // The signals this thread has blocked would stay blocked in the child.
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
    let list = words.map { strdup($0) }
    defer { for word in list { free(word) } }
    var child: pid_t = 0
    return posix_spawn(&child, words[0], &actions, &attributes, list + [nil], environ) == 0 ? child : nil
  }

  /// What is written until the other end closes; nil when it has not by then, or writes without end.
  private static func drain(_ descriptor: Int32, until end: ContinuousClock.Instant) -> [UInt8]? {
    var text: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: bytesMax)
    while text.count <= bytesMax {
      let left = (end - ContinuousClock.now).components
      guard left.seconds >= 0, left.attoseconds >= 0 else { return nil }
      let wait = left.seconds * 1000 + left.attoseconds / 1_000_000_000_000_000 + 1
      var watched = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      guard poll(&watched, 1, Int32(clamping: wait)) > 0 else { continue }
      let count = Glibc.read(descriptor, &chunk, chunk.count)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return text }
      text += chunk[..<count]
    }
    return nil
  }
}
