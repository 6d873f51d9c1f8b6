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

  /// - Parameter options: more arguments of `s_server`.
  init?(options: [String] = []) {
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
    let serving = ["s_server", "-accept", "127.0.0.1:0", "-cert", certificatePath, "-key", keyPath, "-rev"] + options
    let server = TLSPeer.spawn(serving, output: ends[1])
    close(ends[1])
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
    for name in ["certificate.pem", "key.pem"] { unlink("\(folder)/\(name)") }
    rmdir(folder)
  }

  private static var temporaryFolder: String { getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp" }

  /// Starts the tool with an empty signal mask; a test's worker thread may have signals blocked.
  private static func spawn(_ arguments: [String], output: Int32?) -> pid_t? {
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
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
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
    while read(descriptor, &byte, 1) == 1 {
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
