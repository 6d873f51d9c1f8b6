import AlertJournal
import Configuration
import Foundation
import Pipeline
import Service
import VitalModel

/// `vigil doctor`: what would keep the service from starting or from staying up, each with what to do about it.
enum DoctorCommand {
  static let command = Command(
    name: "doctor", summary: "check configuration, rules, store, disk, limits, clock and brokers; exit 0 or 1",
    example: "vigil doctor -c vigil.yaml",
    flags: StoreAccess.flags + [Flag("--json", "as one JSON object")], positional: "", run: run)

  @Sendable
  static func run(_ arguments: Arguments) throws(CommandFailure) -> Int32 {
    try arguments.expectPositional(0...0, "doctor [-c FILE] [--store PATH] [--json]")
    var doctor = Doctor()
    let memory = doctor.examine(arguments)
    if arguments.has("--json") {
      printLine(doctor.json(memory))
    } else {
      for finding in doctor.findings { printLine(finding.line) }
      printLine("memory of the store: \(ByteSize.format(memory.cacheBytes)) block cache, two write buffers each of")
      let rows = memory.buffers.map { ["  " + $0.family, ByteSize.format($0.bytes)] }
      printLine(TextTable.format(rows))
    }
    return doctor.findings.contains { $0.level == .fail } ? ExitCode.failed : ExitCode.ok
  }
}

/// What the checks found, in their order.
struct Doctor {
  enum Level: String { case ok, warn, fail }

  struct Finding {
    var subject: String
    var level: Level
    var text: String
    /// What to do; empty where all is well.
    var advice = ""

    var line: String {
      func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
      }
      let rest = advice.isEmpty ? text : "\(text): \(advice)"
      return padded(level.rawValue, 6) + padded(subject, 15) + rest
    }
  }

  private(set) var findings: [Finding] = []

  /// The share of a disk below which its free room is told of.
  private static let roomWarn = 0.1
  private static let roomFail = 0.02
  /// Files RocksDB keeps open grow with the store.
  private static let filesMin = 4096

  mutating func examine(_ arguments: Arguments) -> StoreMemory {
    guard let configuration = configuration(arguments) else { return StoreMemory() }
    rules(configuration)
    let path = arguments.value("--store") ?? configuration.storePath
    key(configuration, arguments, path)
    store(path, arguments)
    room(path)
    files()
    clock(path)
    memory(configuration)
    for (index, broker) in configuration.brokers.enumerated() { self.broker(broker, number: index + 1) }
    return StoreMemory(bytes: configuration.storeMemory)
  }

  private mutating func note(_ subject: String, _ level: Level, _ text: String, _ advice: String = "") {
    findings.append(Finding(subject: subject, level: level, text: text, advice: advice))
  }

  // MARK: Checks

  private mutating func configuration(_ arguments: Arguments) -> VigilConfiguration? {
    do throws(ConfigurationFiles.Failure) {
      let configuration = try ConfigurationFiles.load(path: arguments.value("-c"))
      let complaints = ReceiverBuilder.complaints(configuration)
      guard let first = complaints.first else {
        note("configuration", .ok, "\(arguments.value("-c") ?? "defaults or ./vigil.yaml") is valid")
        return configuration
      }
      note("configuration", .fail, first, "`vigil check` lists all")
      return configuration
    } catch {
      note("configuration", .fail, error.lines.first ?? "cannot be read", "`vigil check` lists all")
      return nil
    }
  }

  private mutating func rules(_ configuration: VigilConfiguration) {
    do throws(RuleFiles.Failure) {
      let plan = try RuleFiles.read(configuration.rulesPath).plan(set: configuration.ruleSet)
      note("rules", .ok, "\(plan.rules.count) rules of \(configuration.ruleSet) are valid")
    } catch {
      let text = error.description.split(separator: "\n").first.map(String.init) ?? "cannot be read"
      note("rules", .fail, text, "`vigil check` shows all; name the directory with rules.path")
    }
  }

  private mutating func key(_ configuration: VigilConfiguration, _ arguments: Arguments, _ path: String) {
    do throws(CommandFailure) {
      guard try StoreAccess.masterKey(arguments, store: path) != nil else {
        let advice = "`vigil keys generate` makes a key; name it with store.master_key"
        note("encryption", .warn, "no master key is configured: patient data is kept in the clear", advice)
        return
      }
      note("encryption", .ok, "the master key can be read")
    } catch {
      note("encryption", .fail, error.line, "without its master key an encrypted store cannot be read by anybody")
    }
  }

  private mutating func store(_ path: String, _ arguments: Arguments) {
    guard FileManager.default.fileExists(atPath: path + "/CURRENT") else {
      note("store", .warn, "\(path): none yet", "`vigil run` makes it")
      return
    }
    do throws(CommandFailure) {
      let access = try StoreAccess(path: path, arguments)
      let counts = access.directory.counts
      note("store", .ok, "\(path) opens: format \(VigilStore.formatVersion), \(counts.patients) patients")
    } catch {
      note("store", .fail, error.line, "`vigil restore` brings back a backup; keep the directory as it is")
    }
  }

  private mutating func room(_ path: String) {
    var place = path
    while !FileManager.default.fileExists(atPath: place), place.contains("/"), place != "/" {
      place = URL(fileURLWithPath: place).deletingLastPathComponent().path
    }
    guard let disk = DiskSpace(path: FileManager.default.fileExists(atPath: place) ? place : ".") else {
      note("disk", .warn, "the system does not say how much is free at \(place)", "look with `df`")
      return
    }
    let text = "\(ByteSize.format(disk.freeBytes)) free, \(Int(disk.freeShare * 100)) % of the disk"
    let advice = "make room, shorten store.retain, or move store.path; `vigil store stats` says what grows"
    switch disk.freeShare {
    case ..<Doctor.roomFail: note("disk", .fail, text, advice)
    case ..<Doctor.roomWarn: note("disk", .warn, text, advice)
    default: note("disk", .ok, text)
    }
  }

  private mutating func files() {
    let soft = SystemLimits.openFiles
    guard soft < Doctor.filesMin else {
      note("open files", .ok, soft == .max ? "no limit" : "\(soft) allowed")
      return
    }
    note(
      "open files", .warn, "\(soft) allowed, and a store keeps all its files open",
      "`ulimit -n \(Doctor.filesMin)`, or LimitNOFILE in the unit file")
  }

  /// A clock behind what the store has seen files samples under wrong times and keeps deadlines waiting.
  private mutating func clock(_ path: String) {
    let now = Date()
    let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    let newest = names.compactMap { name in
      (try? FileManager.default.attributesOfItem(atPath: path + "/" + name))?[.modificationDate] as? Date
    }.max()
    let milliseconds = Int64(now.timeIntervalSince1970 * 1000)
    let text = "it is \(Timestamp.format(milliseconds))"
    let advice = "set the clock, and let chrony or systemd-timesyncd keep it"
    // Before this program was written, or so late that event times are refused.
    guard milliseconds > 1_767_225_600_000, Timestamp.accepted.contains(milliseconds) else {
      note("clock", .fail, text, advice)
      return
    }
    if let newest, newest.timeIntervalSince(now) > 60 {
      note("clock", .fail, "\(text), and the store was written later than that", advice)
    } else {
      note("clock", .ok, text)
    }
  }

  private mutating func memory(_ configuration: VigilConfiguration) {
    let own = ByteSize.format(configuration.storeMemory)
    guard let machine = SystemLimits.memoryBytes else {
      note("memory", .ok, "\(own) for the store")
      return
    }
    let text = "\(own) for the store, of \(ByteSize.format(machine))"
    if configuration.storeMemory > machine / 2 {
      note("memory", .warn, text, "lower store.memory: windows and open rows need room beside it")
    } else {
      note("memory", .ok, text)
    }
  }

  private mutating func broker(_ broker: VigilConfiguration.Broker, number: Int) {
    let address = broker.url.address
    switch Reachability.tcp(host: address.host, port: address.port, timeoutMs: 2000) {
    case nil: note("broker \(number)", .ok, "\(address) accepts connections")
    case let reason?:
      note(
        "broker \(number)", .warn, "\(address): \(reason)",
        "start the broker, or correct brokers.url; the service tries again by itself")
    }
  }

  // MARK: JSON

  func json(_ memory: StoreMemory) -> String {
    var out = JSONText()
    out.object {
      $0.field("ok", !findings.contains { $0.level == .fail })
      $0.array("checks") { out in
        for finding in findings {
          var one = JSONText()
          one.object {
            $0.field("check", finding.subject)
            $0.field("level", finding.level.rawValue)
            $0.field("text", finding.text)
            $0.field("advice", finding.advice.isEmpty ? nil : finding.advice)
          }
          out.rawElement(one.text)
        }
      }
      $0.object("store_memory") { out in
        out.field("bytes", memory.bytes)
        out.field("cache_bytes", memory.cacheBytes)
        out.object("write_buffer_bytes") { out in
          for buffer in memory.buffers { out.field(buffer.family, buffer.bytes) }
        }
      }
    }
    return out.text
  }
}
