import Glibc

/// `openssl s_server` on a free loopback port with a certificate of its own making, which sends every line back
/// reversed: no HTTP, so an attempt that gets past the handshake fails in another way than one that does not.
final class TLSPeer {
  static let tool = "/usr/bin/openssl"
  static var isInstalled: Bool { access(tool, X_OK) == 0 }

  let port: UInt16
  /// The certificate, as PEM.
  let certificatePath: String
  private let folder: String
  private let process: pid_t
  private let output: Int32
  /// What is written here goes to the client as it is; -1 where lines are sent back reversed.
  private let input: Int32

  /// - Parameters:
  ///   - options: more arguments of `s_server`.
  ///   - isScripted: whether the test answers by `send(_:)`, else lines are sent back reversed.
  init?(options: [String] = [], isScripted: Bool = false) {
    var template = Array("\(TLSPeer.temporaryFolder)/vigil-tls-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { return nil }
    folder = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    certificatePath = folder + "/certificate.pem"
    let keyPath = folder + "/key.pem"
    let making = [
      "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
      "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", keyPath, "-out", certificatePath,
    ]
    guard let maker = TLSPeer.spawn(making, output: nil) else { return nil }
    var status: Int32 = 0
    guard waitpid(maker, &status, 0) == maker, status == 0 else { return nil }
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { return nil }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    var answers: [Int32] = [-1, -1]
    if isScripted {
      guard pipe(&answers) == 0 else { return nil }
      for end in answers { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    }
    let serving =
      ["s_server", "-accept", "127.0.0.1:0", "-cert", certificatePath, "-key", keyPath]
      + (isScripted ? [] : ["-rev"]) + options
    let server = TLSPeer.spawn(serving, input: isScripted ? answers[0] : nil, output: ends[1])
    close(ends[1])
    if isScripted { close(answers[0]) }
    input = answers[1]
    output = ends[0]
    guard let server else { return nil }
    process = server
    guard let port = TLSPeer.acceptedPort(ends[0]) else {
      kill(server, SIGKILL)
      return nil
    }
    self.port = port
  }

  func stop() {
    kill(process, SIGKILL)
    waitpid(process, nil, 0)
    close(output)
    if input >= 0 { close(input) }
    for name in ["certificate.pem", "key.pem"] { unlink("\(folder)/\(name)") }
    rmdir(folder)
  }

  /// Sends bytes to the client of a scripted peer.
  func send(_ bytes: [UInt8]) { _ = write(input, bytes, bytes.count) }

  /// Reads what the tool prints, the client's bytes among it, until `isEnough`; false at its end.
  func read(until isEnough: ([UInt8]) -> Bool) -> Bool {
    var all: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 4096)
    while !isEnough(all) {
      let count = Glibc.read(output, &chunk, chunk.count)
      guard count > 0 else { return false }
      all += chunk[..<count]
    }
    return true
  }

  private static var temporaryFolder: String { getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp" }

  /// Starts the tool with an empty signal mask; a test's worker thread may have signals blocked.
  private static func spawn(_ arguments: [String], input: Int32? = nil, output: Int32?) -> pid_t? {
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    if let input {
      posix_spawn_file_actions_adddup2(&actions, input, 0)
    } else {
      posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    }
    if let output {
      posix_spawn_file_actions_adddup2(&actions, output, 1)
    } else {
      posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
    }
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
    var words: [UnsafeMutablePointer<CChar>?] = ([tool] + arguments).map { strdup($0) } + [nil]
    defer { for word in words { free(word) } }
    var child: pid_t = 0
    return posix_spawn(&child, tool, &actions, &attributes, &words, environ) == 0 ? child : nil
  }

  /// Reads the line `ACCEPT 127.0.0.1:PORT`.
  private static func acceptedPort(_ descriptor: Int32) -> UInt16? {
    var text = ""
    var byte: UInt8 = 0
    while Glibc.read(descriptor, &byte, 1) == 1 {
      if byte != UInt8(ascii: "\n") {
        text.unicodeScalars.append(Unicode.Scalar(byte))
        continue
      }
      if text.hasPrefix("ACCEPT") { return text.split(separator: ":").last.flatMap { UInt16($0) } }
      text = ""
    }
    return nil
  }
}
