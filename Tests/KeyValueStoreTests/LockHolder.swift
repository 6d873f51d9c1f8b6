import Glibc

/// Another process that holds the lock of a store, as a second copy of the program would.
///
/// Record locks of one process never collide with each other, so the lock must be held from outside.
struct LockHolder {
  static let interpreter = "/usr/bin/python3"

  struct SpawnError: Error { let code: Int32 }

  private let process: pid_t
  private let standardInput: Int32

  /// Returns once the lock is held.
  init(_ lockPath: String) throws {
    let program = """
      import fcntl, os, sys
      held = open(sys.argv[1], "r+")
      fcntl.lockf(held, fcntl.LOCK_EX)
      os.write(1, b"x")
      os.read(0, 1)
      """
    var toChild: [Int32] = [0, 0]
    var fromChild: [Int32] = [0, 0]
    guard pipe(&toChild) == 0, pipe(&fromChild) == 0 else { throw SpawnError(code: errno) }
    // Only the ends given to the child below may reach it: it must see ours close.
    for end in toChild + fromChild { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    defer { for end in [toChild[0], fromChild[0], fromChild[1]] { Glibc.close(end) } }

    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, toChild[0], 0)
    posix_spawn_file_actions_adddup2(&actions, fromChild[1], 1)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // The test's worker threads block signals; a child that inherits that cannot be ended.
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))

    let words: [String] = [Self.interpreter, "-c", program, lockPath]
    var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) }
    arguments.append(nil)
    defer { for argument in arguments { free(argument) } }
    var child: pid_t = 0
    let status = posix_spawn(&child, Self.interpreter, &actions, &attributes, &arguments, nil)
    guard status == 0 else { throw SpawnError(code: status) }
    process = child
    standardInput = toChild[1]
    // Our copy of the child's end must go first, or its death would leave this read waiting.
    Glibc.close(fromChild[1])
    fromChild[1] = -1
    var byte: UInt8 = 0
    guard read(fromChild[0], &byte, 1) == 1 else { throw SpawnError(code: errno) }
  }

  /// Ends the process, and with it the lock.
  func end() {
    Glibc.close(standardInput)
    var status: Int32 = 0
    waitpid(process, &status, 0)
  }
}
