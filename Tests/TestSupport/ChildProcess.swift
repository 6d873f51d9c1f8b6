import Foundation
import Synchronization

/// How a process ended.
package enum ExitStatus: Equatable, Sendable {
  /// It returned this code.
  case code(Int32)
  /// This signal ended it.
  case signal(Int32)
}

/// A process started for a test: `posix_spawn` with no signal blocked or ignored, output to files.
///
/// Foundation's `Process` is not used: its children inherit the blocked signals of the test's worker thread and never
/// see SIGTERM. A process still running when the last reference goes is killed and reaped.
package final class ChildProcess: Sendable {
  /// The process id.
  package let pid: pid_t
  /// The file standard output goes to.
  package let stdoutPath: String
  /// The file standard error goes to.
  package let stderrPath: String

  private let status = Mutex<ExitStatus?>(nil)

  /// Starts `executable` (a path, or a name looked up in PATH) in the current folder.
  ///
  /// - Parameters:
  ///   - environment: added to, and overriding, the environment of the test.
  ///   - output: prefix of the two output files `.stdout` and `.stderr`.
  package init(_ executable: String, _ arguments: [String], environment: [String: String] = [:], output: String) throws
  {
    stdoutPath = output + ".stdout"
    stderrPath = output + ".stderr"
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, stdoutPath, O_WRONLY | O_CREAT | O_APPEND, 0o600)
    posix_spawn_file_actions_addopen(&actions, 2, stderrPath, O_WRONLY | O_CREAT | O_APPEND, 0o600)

    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var blocked = sigset_t()
    sigemptyset(&blocked)
    posix_spawnattr_setsigmask(&attributes, &blocked)
    var restored = sigset_t()
    sigemptyset(&restored)
    for signal in [SIGPIPE, SIGTERM, SIGINT, SIGHUP] { sigaddset(&restored, signal) }
    posix_spawnattr_setsigdefault(&attributes, &restored)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))

    let merged = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    let argv = ([executable] + arguments).map { strdup($0) } + [nil]
    let envp = merged.map { strdup("\($0.key)=\($0.value)") } + [nil]
    defer { (argv + envp).forEach { free($0) } }
    var child: pid_t = 0
    let code = posix_spawnp(&child, executable, &actions, &attributes, argv, envp)
    guard code == 0 else { throw SupportError.system("posix_spawn \(executable)", code) }
    pid = child
  }

  deinit {
    if exitStatus == nil {
      kill(SIGKILL)
      _ = wait(seconds: 10)
    }
  }

  /// How it ended, nil while it runs.
  package var exitStatus: ExitStatus? {
    status.withLock { known in
      if let known { return known }
      var raw: Int32 = 0
      guard waitpid(pid, &raw, WNOHANG) == pid else { return nil }
      let signal = raw & 0x7F
      known = signal == 0 ? .code((raw >> 8) & 0xFF) : .signal(signal)
      return known
    }
  }

  /// Sends `signal` unless the process has been reaped already.
  package func kill(_ signal: Int32) {
    status.withLock { known in
      if known == nil { Glibc.kill(pid, signal) }
    }
  }

  /// Waits until the process ended. Returns nil when it still runs after `seconds`.
  package func wait(seconds: Double) -> ExitStatus? {
    eventually(within: seconds) { exitStatus != nil }
    return exitStatus
  }

  /// What it wrote to standard output so far.
  package var stdout: String { (try? String(contentsOfFile: stdoutPath, encoding: .utf8)) ?? "" }

  /// What it wrote to standard error so far.
  package var stderr: String { (try? String(contentsOfFile: stderrPath, encoding: .utf8)) ?? "" }

  /// Runs a short command to its end and returns its standard output.
  ///
  /// - Throws: `.child` with its standard error when it does not exit with 0 within `seconds`.
  @discardableResult
  package static func run(
    _ executable: String, _ arguments: [String], in folder: TemporaryDirectory, seconds: Double = 60
  ) throws -> String {
    let output = folder.file("run-\(UInt64.random(in: 0 ... .max))")
    let child = try ChildProcess(executable, arguments, output: output)
    guard child.wait(seconds: seconds) == .code(0) else {
      throw SupportError.child("\(executable) \(arguments.first ?? ""): \(child.stderr)")
    }
    return child.stdout
  }
}
