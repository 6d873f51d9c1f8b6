import Glibc

/// Exit codes (CONTRACT section 3, SEMANTICS E8).
enum ExitCode {
  static let ok: Int32 = 0
  /// A check failed.
  static let failed: Int32 = 1
  static let usage: Int32 = 2
  /// Broker, port or disk unavailable at start.
  static let unavailable: Int32 = 69
  /// The store is in use.
  static let inUse: Int32 = 75
  static let badConfiguration: Int32 = 78
}

/// A command that stops with one line on standard error and an exit code.
struct CommandFailure: Error {
  var code: Int32
  var line: String
  init(_ code: Int32, _ line: String) {
    self.code = code
    self.line = line
  }
}

/// One subcommand: its words for help, and what it does.
struct Command: Sendable {
  var name: String
  var summary: String
  var example: String
  var flags: [Flag]
  /// Names of positional arguments, for the usage line.
  var positional: String
  var run: @Sendable (Arguments) throws(CommandFailure) -> Int32
}

/// Flags, wiring and exit codes; no rules of its own. `main` calls ``run(_:)`` and nothing else.
enum Program {
  static let version = "0.1.0"

  static let commands: [Command] = [
    RunCommand.command, CheckCommand.command, ReplayCommand.command, WebhookCommand.command, VersionCommand.command,
    SimulateCommand.command, ExportCommand.command, ScoreCommand.command, ExplainCommand.command,
    QuarantineCommand.command, DeliveriesCommand.command, RulesCommand.command, TestCommand.command,
    AlertCommand.command, SilenceCommand.command, CodecCommand.command,
    StatsCommand.command, StoreCommand.command, DoctorCommand.command, KeysCommand.command,
    BackupCommand.command, RestoreCommand.command, VerifyCommand.command, AuditCommand.command,
    EvaluateCommand.command, TuneCommand.command, ImportCommand.command, LabelCommand.command,
  ]

  static func run(_ arguments: [String]) -> Int32 {
    guard let name = arguments.first else {
      printLine(usage)
      return ExitCode.usage
    }
    if name == "--help" || name == "-h" || name == "help" {
      printLine(usage)
      return ExitCode.ok
    }
    let wanted = name == "--version" ? "version" : name
    guard let command = commands.first(where: { $0.name == wanted }) else {
      let hint = Arguments.nearest(name, commands.map(\.name)).map { ", did you mean `\($0)`?" } ?? ""
      return fail(CommandFailure(ExitCode.usage, "unknown command `\(name)`\(hint) (vigil --help lists them)"))
    }
    let rest = Array(arguments.dropFirst())
    if rest.contains("--help") || rest.contains("-h") {
      printLine(help(command))
      return ExitCode.ok
    }
    do throws(CommandFailure) {
      let parsed = try Arguments.parse(rest, flags: command.flags, command: command.name)
      return try command.run(parsed)
    } catch {
      return fail(error)
    }
  }

  static func fail(_ failure: CommandFailure) -> Int32 {
    complain(failure.line)
    return failure.code
  }

  /// One complaint on standard error; a source line shown with it stands below, indented.
  static func complain(_ text: String) {
    for line in text.split(separator: "\n") {
      printError(line.first?.isWhitespace == true ? String(line) : "vigil: \(line)")
    }
  }

  private static var usage: String {
    let width = commands.map(\.name.count).max() ?? 0
    let rows = commands.map { command in
      "  " + command.name + String(repeating: " ", count: width - command.name.count + 3) + command.summary
    }
    return """
      vigil \(version): vital signs over MQTT in, the alerts a human must hear out

      usage: vigil COMMAND [OPTIONS]

      \(rows.joined(separator: "\n"))

      `vigil COMMAND --help` shows options and an example.
      """
  }

  private static func help(_ command: Command) -> String {
    let names = command.flags.map { $0.usage }
    let width = names.map(\.count).max() ?? 0
    let rows = zip(command.flags, names).map { flag, name in
      "  " + name + String(repeating: " ", count: width - name.count + 3) + flag.help
    }
    let positional = command.positional.isEmpty ? "" : " " + command.positional
    let options = rows.isEmpty ? "" : "\n\noptions:\n" + rows.joined(separator: "\n")
    return """
      vigil \(command.name): \(command.summary)

      usage: vigil \(command.name)\(positional) [OPTIONS]\(options)

      example:
        \(command.example)
      """
  }
}

/// Writes a line to standard output.
func printLine(_ text: String) { write(text + "\n", to: STDOUT_FILENO) }
/// Writes a line to standard error; a terminal is not to be steered by what stands in files.
func printError(_ text: String) { write(harmless(text) + "\n", to: STDERR_FILENO) }

/// A name out of a file for a terminal: at most 80 characters, none that a terminal obeys.
func shown(_ name: some StringProtocol) -> String {
  let start = harmless(String(name.prefix(80)))
  return (name.count > 80 ? start + "..." : start).replacing("\n", with: "\u{FFFD}")
}

/// Text with control and format characters replaced, but for line ends and tabs.
func harmless(_ text: String) -> String {
  func isMark(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control: scalar != "\n" && scalar != "\t"
    case .format, .lineSeparator, .paragraphSeparator: true
    default: false
    }
  }
  guard text.unicodeScalars.contains(where: isMark) else { return text }
  var safe = String.UnicodeScalarView()
  for scalar in text.unicodeScalars { safe.append(isMark(scalar) ? "\u{FFFD}" : scalar) }
  return String(safe)
}

/// Writes all bytes, however often the kernel takes only a part. A reader that went away ends the program quietly.
func write(_ text: String, to descriptor: Int32) {
  var copy = text
  copy.withUTF8 { bytes in
    var offset = 0
    while offset < bytes.count {
      let written = Glibc.write(descriptor, bytes.baseAddress! + offset, bytes.count - offset)
      if written < 0 {
        if errno == EINTR { continue }
        exit(descriptor == STDOUT_FILENO && errno == EPIPE ? ExitCode.ok : ExitCode.failed)
      }
      offset += written
    }
  }
}
