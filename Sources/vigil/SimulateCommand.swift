import Foundation
import Glibc
import MQTTIngress
import Recordings
import Service
import Simulation
import Synchronization
import VitalModel

/// `vigil simulate`: a seeded synthetic ward to a broker or a file, with the truth beside it.
enum SimulateCommand {
  static let command = Command(
    name: "simulate", summary: "a synthetic ward with known truth, to MQTT or to a file",
    example: "vigil simulate --output ward.jsonl --labels labels.csv --for 2h --pace 20 --seed 7",
    flags: [
      Flag("--mqtt", "URL", "publish to this broker (QoS 1)"), Flag("--output", "FILE", "write a recording"),
      Flag("--format", "jsonl|csv", "of the file (default by its name, else jsonl; csv is wide)"),
      Flag("--patients", "N", "beds (default 10)"), Flag("--seed", "S", "same seed, same bytes (default 1)"),
      Flag("--for", "TIME", "simulated time (default 1h for a file; to MQTT until stopped)"),
      Flag("--speed", "N|max", "times real time to MQTT (default 1)"),
      Flag("--pace", "N", "illnesses run N times faster (default 1)"),
      Flag("--spot-pace", "N", "spot measurements come N times more often (default 1)"),
      Flag("--scenario", "NAME,...", repeats: true, "what goes wrong, in turn (default everything; none: nothing)"),
      Flag("--first", "TIME", "when the first of them begins (default 60s)"),
      Flag("--labels", "FILE", "write what really happens and when"),
      Flag("--roster", "FILE", "write a roster.yaml of the ward"),
      Flag("--tenant", "NAME", "tenant of the topics (default demo)"),
      Flag("--start", "T", "first time stamp (default now to MQTT, 2020-01-01T00:00:00Z in a file)"),
      Flag("--json", "the summary as a JSON object"),
    ], positional: "", run: run)

  @Sendable
  static func run(_ arguments: Arguments) throws(CommandFailure) -> Int32 {
    try arguments.expectPositional(0...0, "simulate --mqtt URL | --output FILE")
    let broker = arguments.value("--mqtt")
    let path = arguments.value("--output")
    try OutputCheck.run(
      "simulate", arguments, writing: ["--output", "--labels", "--roster"], reading: [], inputs: [])
    guard (broker == nil) != (path == nil) else {
      throw CommandFailure(ExitCode.usage, "simulate: give either --mqtt URL or --output FILE")
    }
    let settings = try settings(arguments, isLive: broker != nil)
    let length = try arguments.duration("--for").map { ($0 + 999) / 1000 }
    var ward = Ward(settings)
    try writeSideFiles(ward, arguments)
    printError("vigil: synthetic data of \(settings.patients) people who do not exist (seed \(settings.seed))")
    Interruption.catchSignals()
    var tally = Tally()
    if let broker {
      try publish(&ward, to: broker, seconds: length, arguments, &tally)
    } else if let path {
      try record(&ward, to: path, seconds: length ?? 3600, arguments, &tally)
    }
    report(ward, tally, arguments)
    return ExitCode.ok
  }

  /// What was sent.
  private struct Tally {
    var messages = 0
    var samples = 0

    mutating func note(_ message: SimulatedMessage) {
      messages += 1
      if case .vitals(let observations) = message.content { samples += observations.count }
    }
  }

  // MARK: The ward

  private static func settings(_ arguments: Arguments, isLive: Bool) throws(CommandFailure) -> WardSettings {
    let patients = try arguments.int("--patients", in: 1...100_000) ?? 10
    let seed = try arguments.value("--seed", as: "a whole number from 0") { UInt64($0) } ?? 1
    let start = try arguments.time("--start") ?? (isLive ? now() : RecordingOptions().epoch)
    var settings = WardSettings(seed: seed, patients: patients, start: start)
    settings.tenant = try arguments.value("--tenant", as: "letters, digits, `-`, `_` and `.`", tenant) ?? "demo"
    settings.pace = try factor("--pace", arguments)
    settings.spotPace = try factor("--spot-pace", arguments)
    let kinds = try scenarios(arguments)
    // Every other bed stays healthy where there is room for it.
    let every = kinds.count * 2 <= patients || !arguments.has("--scenario") ? 2 : 1
    let spacing = max(5, Int64(120 / settings.pace))
    let first = (try arguments.duration("--first") ?? 60_000) / 1000
    settings.plans = WardSettings.mix(kinds, patients: patients, every: every, first: first, spacing: spacing)
    return settings
  }

  private static func factor(_ flag: String, _ arguments: Arguments) throws(CommandFailure) -> Double {
    try arguments.value(flag, as: "a number from 1 to 100000") { text in
      Double(text).flatMap { (1...100_000).contains($0) ? $0 : nil }
    } ?? 1
  }

  private static func tenant(_ text: String) -> String? {
    let allowed = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")
    return !text.isEmpty && text.count <= 64 && text.allSatisfy(allowed.contains) ? text : nil
  }

  private static func scenarios(_ arguments: Arguments) throws(CommandFailure) -> [ScenarioKind] {
    let names = arguments.list("--scenario")
    if names.isEmpty { return ScenarioKind.allCases }
    if names == ["none"] { return [] }
    var kinds: [ScenarioKind] = []
    for name in names {
      guard let kind = ScenarioKind(rawValue: name.replacingOccurrences(of: "-", with: "_")) else {
        let known = ScenarioKind.allCases.map(\.rawValue)
        let hint = Arguments.nearest(name, known).map { ", did you mean `\($0)`?" } ?? ""
        throw CommandFailure(ExitCode.usage, "unknown scenario `\(name)`\(hint) (\(known.joined(separator: " ")))")
      }
      kinds.append(kind)
    }
    return kinds
  }

  /// The current full second.
  private static func now() -> Int64 { Int64(time(nil)) * 1000 }

  // MARK: Files beside the data

  private static func writeSideFiles(_ ward: Ward, _ arguments: Arguments) throws(CommandFailure) {
    if let path = arguments.value("--labels") {
      try OutputFile.write(TruthLabel.header + ward.labels.map(\.csv).joined(), to: path)
    }
    if let path = arguments.value("--roster") { try OutputFile.write(roster(ward.beds), to: path) }
  }

  private static func roster(_ beds: [SimulatedBed]) -> String {
    var text = "# Synthetic: nobody in this roster exists.\npatients:\n"
    for bed in beds {
      text += "  - { id: \(bed.patient), age: \(bed.age), unit: synthetic-ward, bed: \"\(bed.bed)\" }\n"
    }
    text += "assignments:\n"
    for bed in beds {
      for device in bed.devices { text += "  - { device: \(device), patient: \(bed.patient) }\n" }
    }
    return text
  }

  // MARK: Out

  private static func publish(
    _ ward: inout Ward, to url: String, seconds: Int64?, _ arguments: Arguments, _ tally: inout Tally
  ) throws(CommandFailure) {
    let speed = try arguments.value("--speed", as: "`max` or a number of times real time") { text -> Double? in
      text == "max" ? 0 : Double(text).flatMap { $0 > 0 && $0 <= 1_000_000 ? $0 : nil }
    }
    if let speed, speed != 1 {
      printError("vigil: time stamps leave the wall clock behind; the service follows them with `clock: stream`")
    }
    let publisher = try Playback.connect(url, clientID: "vigil-simulate-\(getpid())")
    var encoder = MessageEncoder()
    var pacer = Pacer(speed: speed ?? 1)
    do throws(PublisherError) {
      while seconds.map({ ward.elapsed < $0 }) ?? true, !Interruption.hasCome {
        for message in ward.next() {
          pacer.wait(for: message.sentAt)
          if Interruption.hasCome { break }
          try publisher.publish(topic: message.topic, payload: encoder.payload(message), qos: 1)
          tally.note(message)
        }
      }
      try publisher.flush(timeout: .seconds(60))
    } catch {
      throw CommandFailure(ExitCode.unavailable, "broker: \(error)")
    }
    publisher.disconnect()
  }

  private static func record(
    _ ward: inout Ward, to path: String, seconds: Int64, _ arguments: Arguments, _ tally: inout Tally
  ) throws(CommandFailure) {
    let format = arguments.value("--format") ?? (path.hasSuffix(".csv") ? "csv" : "jsonl")
    guard ["csv", "jsonl"].contains(format) else {
      throw CommandFailure(ExitCode.usage, "`--format` must be jsonl or csv, not `\(format)`")
    }
    let isCSV = format == "csv"
    var encoder = MessageEncoder()
    var buffer = isCSV ? Array(MessageEncoder.wideHeader.utf8) : []
    let progress = ProgressBar(total: Int(seconds), label: "simulated seconds")
    defer { progress.finish() }
    do throws(RecordingError) {
      let output = try RecordingOutput(path: path)
      while ward.elapsed < seconds, !Interruption.hasCome {
        for message in ward.next() {
          if isCSV {
            guard let row = encoder.wideRow(message, start: ward.settings.start) else { continue }
            buffer += row
          } else {
            buffer += encoder.jsonLine(message)
          }
          tally.note(message)
        }
        if buffer.count > 1 << 18 {
          try output.write(buffer)
          buffer.removeAll(keepingCapacity: true)
        }
        progress.advance(to: Int(ward.elapsed))
      }
      try output.write(buffer)
      try output.finish()
    } catch {
      throw CommandFailure(ExitCode.failed, error.description)
    }
  }

  private static func report(_ ward: Ward, _ tally: Tally, _ arguments: Arguments) {
    guard arguments.has("--json") else {
      return printError(
        "simulated \(ward.elapsed) s: \(tally.messages) messages, \(tally.samples) samples, \(ward.labels.count) labels"
      )
    }
    var out = JSONText()
    out.object {
      $0.field("synthetic", true)
      $0.field("seed", String(ward.settings.seed))
      $0.field("patients", ward.settings.patients)
      $0.field("start", Timestamp.format(ward.settings.start))
      $0.field("seconds", Int(ward.elapsed))
      $0.field("messages", tally.messages)
      $0.field("samples", tally.samples)
      $0.field("labels", ward.labels.count)
    }
    // Standard output may be the recording itself.
    if arguments.value("--output") == "-" { printError(out.text) } else { printLine(out.text) }
  }
}

/// The wish of a person at the keyboard to stop; asked once, a second time ends the program at once.
enum Interruption {
  fileprivate static let flag = Atomic<Bool>(false)

  static var hasCome: Bool { flag.load(ordering: .relaxed) }

  static func catchSignals() {
    // Touched before a handler may run, so that the handler never waits for its initialisation.
    flag.store(false, ordering: .relaxed)
    var action = sigaction()
    action.__sigaction_handler.sa_handler = noteInterruption
    action.sa_flags = Int32(bitPattern: UInt32(SA_RESETHAND))
    sigaction(SIGINT, &action, nil)
    sigaction(SIGTERM, &action, nil)
    signal(SIGPIPE, SIG_IGN)
  }
}

private func noteInterruption(_: Int32) { Interruption.flag.store(true, ordering: .relaxed) }
