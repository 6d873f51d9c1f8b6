import Foundation
import Synchronization

/// A real mosquitto on 127.0.0.1, on a port of its own, with its persistence in a temporary folder.
///
/// Hold it with `withExtendedLifetime` (or in a `defer { broker.stop() }`): the broker ends with its last reference.
package final class Broker: Sendable {
  /// The TLS side of the listener.
  package struct TLS: Sendable {
    /// Path of the authority's certificate.
    package let authority: String
    /// The broker's certificate and key.
    package let server: TestCertificates.Pair
    /// Whether clients must present a certificate of the same authority.
    package let requireClientCertificate: Bool

    /// Certificates as `TestCertificates` makes them.
    package init(authority: String, server: TestCertificates.Pair, requireClientCertificate: Bool = false) {
      self.authority = authority
      self.server = server
      self.requireClientCertificate = requireClientCertificate
    }
  }

  /// What differs from a broker open to anybody.
  package struct Options: Sendable {
    /// User names and passwords; anonymous clients are refused when there is any.
    package var users: [String: String] = [:]
    /// TLS instead of plain TCP.
    package var tls: TLS?
    /// Further lines of the configuration file.
    package var extraLines: [String] = []

    /// A broker open to anybody.
    package init() {}
  }

  /// The port, the same after every restart.
  package let port: UInt16
  /// Where the broker keeps configuration, persistence and log.
  package let folder: TemporaryDirectory

  private let configuration: String
  private let child: Mutex<ChildProcess?>

  /// Starts a broker and returns when it accepts connections.
  ///
  /// - Throws: `.child` with the broker's own words when it does not start.
  package convenience init(_ options: Options = Options()) throws {
    try self.init(options, shipped: nil)
  }

  /// Starts a broker with a configuration file as shipped, to which listener, persistence folder and user are appended.
  ///
  /// - Throws: `.child` with the broker's own words when it does not start.
  package convenience init(configurationFile: String) throws {
    try self.init(Options(), shipped: String(contentsOfFile: configurationFile, encoding: .utf8))
  }

  private init(_ options: Options, shipped: String?) throws {
    let folder = try TemporaryDirectory("broker")
    self.folder = folder
    if !options.users.isEmpty { try Self.writePasswords(options.users, in: folder) }
    var lastWords = ""
    for _ in 0..<5 {
      // Another process may take the port between its release here and the broker's bind: then try the next.
      let port = try freePort()
      let place = ["user root", "persistence_location \(folder.path)/", "listener \(port) 127.0.0.1"]
      let text = shipped.map { ([$0] + place).joined(separator: "\n") + "\n" } ?? Self.text(options, place, folder)
      let configuration = try folder.write(text, to: "mosquitto.conf")
      let child = try Self.spawn(configuration, folder)
      if Self.waitUntilReady(child, port) {
        self.port = port
        self.configuration = configuration
        self.child = Mutex(child)
        return
      }
      lastWords = child.stderr
    }
    throw SupportError.child("mosquitto: \(lastWords)")
  }

  deinit { stop() }

  /// Ends the broker in order: it writes its persistence file.
  package func stop() { end(with: SIGTERM) }

  /// Ends the broker without warning: what it had not saved is lost.
  package func kill() { end(with: SIGKILL) }

  /// Ends it in order and starts it again on the same port with the same persistence.
  package func restart() throws {
    stop()
    try start()
  }

  /// Starts it again after `stop` or `kill`; does nothing while it runs.
  package func start() throws {
    guard child.withLock({ $0 == nil }) else { return }
    for _ in 0..<5 {
      let started = try Self.spawn(configuration, folder)
      if Self.waitUntilReady(started, port) {
        child.withLock { $0 = started }
        return
      }
    }
    throw SupportError.child("mosquitto did not come back on port \(port)")
  }

  /// What the broker logged so far.
  package var log: String {
    (try? String(contentsOfFile: folder.file("mosquitto.stderr"), encoding: .utf8)) ?? ""
  }

  private func end(with signal: Int32) {
    let running = child.withLock { held in
      defer { held = nil }
      return held
    }
    guard let running else { return }
    running.kill(signal)
    if running.wait(seconds: 10) == nil {
      running.kill(SIGKILL)
      _ = running.wait(seconds: 10)
    }
  }

  private static func spawn(_ configuration: String, _ folder: TemporaryDirectory) throws -> ChildProcess {
    let installed = "/usr/sbin/mosquitto"
    let executable = FileManager.default.isExecutableFile(atPath: installed) ? installed : "mosquitto"
    return try ChildProcess(executable, ["-v", "-c", configuration], output: folder.file("mosquitto"))
  }

  private static func waitUntilReady(_ child: ChildProcess, _ port: UInt16) -> Bool {
    eventually(within: 10) { child.exitStatus != nil || isListening(port: port) }
    return child.exitStatus == nil && isListening(port: port)
  }

  private static func writePasswords(_ users: [String: String], in folder: TemporaryDirectory) throws {
    let file = try folder.write("", to: "passwords")
    for (user, password) in users.sorted(by: { $0.key < $1.key }) {
      try ChildProcess.run("mosquitto_passwd", ["-b", file, user, password], in: folder)
    }
  }

  /// The configuration; `place` names a user too, because started by root the broker would become one who may not write
  /// into the folder.
  private static func text(_ options: Options, _ place: [String], _ folder: TemporaryDirectory) -> String {
    var lines =
      [
        "persistence true", "max_inflight_messages 0", "max_queued_messages 0", "set_tcp_nodelay true",
        "log_dest stderr",
      ] + place
    if options.users.isEmpty {
      lines.append("allow_anonymous true")
    } else {
      lines += ["allow_anonymous false", "password_file \(folder.file("passwords"))"]
    }
    if let tls = options.tls {
      lines += ["cafile \(tls.authority)", "certfile \(tls.server.certificate)", "keyfile \(tls.server.key)"]
      lines.append("require_certificate \(tls.requireClientCertificate)")
    }
    return (lines + options.extraLines).joined(separator: "\n") + "\n"
  }
}
