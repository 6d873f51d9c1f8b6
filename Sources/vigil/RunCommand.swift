import Configuration
import Glibc
import Service
import VitalModel

/// `vigil run`: the service, until a signal ends it.
enum RunCommand {
  static let command = Command(
    name: "run", summary: "run the service: MQTT in, durable, evaluated, signed webhooks out",
    example: "vigil run -c vigil.yaml",
    flags: [
      Flag("-c", "FILE", "configuration (default ./vigil.yaml, else defaults)"),
      Flag("--store", "PATH", "store directory (overrides store.path)"),
      StoreAccess.masterKeyFlag,
      Flag("--clock", "wall|stream", "which clock moves evaluation (overrides clock)"),
      Flag("--wait-for-broker", "TIME", "how long the first broker connection may take (default 60s, 0s: for ever)"),
    ], positional: "", run: run)

  @Sendable
  static func run(_ arguments: Arguments) throws(CommandFailure) -> Int32 {
    try arguments.expectPositional(0...0, "run [-c FILE]")
    var configuration = try load(arguments)
    if let store = arguments.value("--store") { configuration.storePath = store }
    if let reference = try arguments.value(
      "--master-key", as: "env:NAME, file:PATH or command:/PATH WORDS", { MasterKeyReference($0) })
    {
      configuration.masterKey = reference
    }
    if let clock = try arguments.value(
      "--clock", as: "`wall` or `stream`", VigilConfiguration.ClockMode.init(rawValue:))
    {
      configuration.clock = clock
    }
    // Blocked before any thread starts: every thread inherits the mask, and this one waits for the signals.
    let signals = Signals()
    var settings = VigilService.Settings(
      configuration: configuration, configurationPath: arguments.value("-c"), version: Program.version)
    settings.brokerWait = try arguments.duration("--wait-for-broker") ?? 60_000
    let service: VigilService
    do throws(StartFailure) {
      service = try VigilService(settings)
    } catch {
      switch error {
      case .badConfiguration(let lines):
        throw CommandFailure(ExitCode.badConfiguration, lines.joined(separator: "\n"))
      case .inUse(let line): throw CommandFailure(ExitCode.inUse, line)
      case .unavailable(let line): throw CommandFailure(ExitCode.unavailable, line)
      }
    }
    return wait(service, signals)
  }

  static func load(_ arguments: Arguments) throws(CommandFailure) -> VigilConfiguration {
    do throws(ConfigurationFiles.Failure) {
      return try ConfigurationFiles.load(path: arguments.value("-c"))
    } catch {
      throw CommandFailure(ExitCode.badConfiguration, error.lines.joined(separator: "\n"))
    }
  }

  private static func wait(_ service: VigilService, _ signals: Signals) -> Int32 {
    while true {
      switch signals.next(within: 1) {
      case SIGHUP: service.reload()
      case SIGTERM, SIGINT:
        service.stop()
        return ExitCode.ok
      default:
        if service.brokerNeverCame {
          printError("vigil: no broker could be reached; see the lines above, then start again")
          service.stop()
          return ExitCode.unavailable
        }
      }
    }
  }
}

/// Signals the service understands, taken by one thread instead of interrupting any.
struct Signals {
  private var set = sigset_t()

  /// Blocks HUP, TERM and INT for this thread and all it starts; ignores PIPE.
  init() {
    sigemptyset(&set)
    for number in [SIGHUP, SIGTERM, SIGINT] { sigaddset(&set, number) }
    pthread_sigmask(SIG_BLOCK, &set, nil)
    signal(SIGPIPE, SIG_IGN)
  }

  /// The next signal, 0 if none came in so many seconds.
  func next(within seconds: Int) -> Int32 {
    var own = set
    var limit = timespec(tv_sec: seconds, tv_nsec: 0)
    let number = sigtimedwait(&own, nil, &limit)
    return number < 0 ? 0 : number
  }
}
