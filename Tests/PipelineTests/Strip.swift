import Configuration
import Evaluation
import Foundation
import RuleLanguage
import TestSupport
import VitalModel

@testable import Pipeline

/// The rules the product ships, and small ones for tests.
enum Shipped {
  static let folder = RepositoryRoot.path + "/Rules"

  static let registry: VitalRegistry = {
    guard let text = try? String(contentsOfFile: folder + "/vitals.yaml", encoding: .utf8),
      let registry = try? VitalRegistryFile.parse(text, file: "vitals.yaml")
    else { return VitalRegistry([]) }
    return registry
  }()

  static let sources: [RuleSource] = {
    let names = (try? FileManager.default.subpathsOfDirectory(atPath: folder)) ?? []
    return names.sorted().filter { $0.hasSuffix(".yaml") }.compactMap { name in
      (try? String(contentsOfFile: folder + "/" + name, encoding: .utf8)).map { RuleSource(path: name, text: $0) }
    }
  }()

  static func ward() throws -> PlanLayout {
    PlanLayout(plan: try RuleLibrary.plan(sources: sources, set: "adult-ward", registry: registry))
  }

  /// Rules given as text, with the shipped scores.
  static func layout(_ rules: String) throws -> PlanLayout {
    let scores = sources.filter { $0.path.hasPrefix("scores/") }
    let plan = try RuleLibrary.plan(
      sources: scores + [RuleSource(path: "rules.yaml", text: rules)], set: nil, registry: registry)
    return PlanLayout(plan: plan)
  }
}

/// A strip chart for one patient or a few: lines of observations in, lines of transitions and ledger rows out.
///
/// A line is `[received>]from[..to[/step]]: [patient.]code[@device][=source]...`:
/// `0..20: spo2=97 hr=70` is one message a second; `700>101..160: spo2=85` is a back-log received at second 700;
/// `spo2=70?0.2` has quality 0.2, `spo2=70!lead-off` a sensor state, `hr@b=70` comes from device b, `b~` marks it as
/// uncertain in time; `clock 90` is a journaled clock entry.
final class Strip {
  /// 2026-01-01T00:00:00Z.
  static let origin: Int64 = 1_767_225_600_000

  let directory: Directory
  private(set) var engine: Engine
  private(set) var layout: PlanLayout
  private(set) var slots: [Slot] = []
  private var position: UInt64 = 0
  let tenant = "demo"

  init(_ layout: PlanLayout, roster: Roster? = nil, options: EngineOptions = EngineOptions(clock: .stream)) {
    self.layout = layout
    directory = Directory(registry: Shipped.registry)
    engine = Engine(layout: layout, options: options, names: directory)
    if let roster { engine.adoptRoster(directory.adopt(roster)) }
  }

  convenience init(
    rules: String, roster: Roster? = nil, options: EngineOptions = EngineOptions(clock: .stream)
  ) throws {
    self.init(try Shipped.layout(rules), roster: roster, options: options)
  }

  @discardableResult
  func feed(_ text: String) -> Strip {
    for slot in parse(text) { engine.apply(slot) }
    engine.finishMessage()
    return self
  }

  /// The slots of some lines, positions given in order.
  func parse(_ text: String) -> [Slot] {
    var made: [Slot] = []
    for line in text.split(separator: "\n") {
      let trimmed = line.trimmingCharacters(in: .whitespaces)
      if trimmed.isEmpty { continue }
      if trimmed.hasPrefix("clock ") {
        var slot = Slot()
        slot.kind = .clock
        slot.ingestTime = Strip.time(trimmed.dropFirst(6))
        made.append(numbered(slot))
        continue
      }
      made += message(trimmed)
    }
    slots += made
    return made
  }

  func replaceEngine(_ fresh: Engine) { engine = fresh }

  func numbered(_ slot: Slot) -> Slot {
    position += 1
    var numbered = slot
    numbered.payload = position
    return numbered
  }

  private func message(_ line: String) -> [Slot] {
    let halves = line.split(separator: ":", maxSplits: 1)
    var times = halves[0]
    var received: Int64?
    if let mark = times.firstIndex(of: ">") {
      received = Strip.time(times[..<mark])
      times = times[times.index(after: mark)...]
    }
    let parts = times.split(separator: "/")
    let step = parts.count > 1 ? Strip.time(parts[1]) - Strip.origin : 1000
    let ends = parts[0].components(separatedBy: "..")
    let first = Strip.time(ends[0][...])
    let last = Strip.time(ends[ends.count - 1][...])
    var made: [Slot] = []
    for time in stride(from: first, through: last, by: Int64.Stride(step)) {
      let observations = halves[1].split(separator: " ")
      for (index, text) in observations.enumerated() {
        var slot = observation(text, time: time, received: received ?? time)
        if index == observations.count - 1 { slot.flags.insert(.endOfMessage) }
        made.append(numbered(slot))
      }
    }
    return made
  }

  private func observation(_ text: Substring, time: Int64, received: Int64) -> Slot {
    let halves = text.split(separator: "=", maxSplits: 1)
    var name = String(halves[0])
    var value = String(halves[1])
    var patient = "p1"
    var device = "a"
    var slot = Slot()
    slot.kind = .sample
    if let dot = name.firstIndex(of: ".") {
      patient = String(name[..<dot])
      name = String(name[name.index(after: dot)...])
    }
    if let at = name.firstIndex(of: "@") {
      device = String(name[name.index(after: at)...])
      name = String(name[..<at])
    }
    if let mark = value.firstIndex(of: "!") {
      slot.status = SampleStatus(text: String(value[value.index(after: mark)...])) ?? .ok
      value = String(value[..<mark])
    }
    if let mark = value.firstIndex(of: "?") {
      let quality = DecimalValue(value[value.index(after: mark)...]) ?? DecimalValue(mantissa: 1)
      slot.quality = SampleQuality(quality) ?? .absent
      value = String(value[..<mark])
    }
    if value.hasSuffix("~") {
      slot.flags.insert(.uncertain)
      value.removeLast()
    }
    slot.code = Shipped.registry.code(name) ?? VitalCode(index: 0)
    slot.value = DecimalValue(value) ?? DecimalValue(mantissa: 0)
    slot.eventTime = time
    slot.ingestTime = received
    slot.device = directory.device(tenant: tenant, device: device)
    slot.patient = directory.patient(tenant: tenant, patient: patient)
    slot.series = directory.series(
      patient: slot.patient, code: slot.code, device: slot.device, source: slot.source)
    return slot
  }

  static func time(_ text: Substring) -> Int64 { origin + Int64((Double(text) ?? 0) * 1000) }

  static func seconds(_ time: Int64) -> String {
    let milliseconds = time - origin
    return milliseconds % 1000 == 0 ? "\(milliseconds / 1000)" : "\(Double(milliseconds) / 1000)"
  }

  /// `15 start spo2-low medium`, time being the engine's clock.
  var transitions: [String] { engine.output.transitions.map { Strip.line($0.document) } }
  var documents: [AlertDocument] { engine.output.transitions.map(\.document) }
  /// `15 persistence spo2-low`.
  var ledger: [String] {
    engine.output.ledger.map {
      "\(Strip.seconds($0.document.detectedTime)) \($0.document.suppressed?.stage.rawValue ?? "-") \($0.document.ruleID)"
    }
  }

  static func line(_ document: AlertDocument) -> String {
    var line =
      "\(seconds(document.detectedTime)) \(document.phase.rawValue) \(document.ruleID) \(document.priority.text)"
    if document.unverified { line += " unverified" }
    if document.retrospective { line += " retrospective" }
    return line
  }

  /// Everything the engine said, byte for byte.
  var everything: String { Strip.everything(engine.output) }

  static func everything(_ output: EngineOutput) -> String {
    let told = output.transitions.map { "\($0.position) \($0.isNotified) \($0.document.json) \($0.evidence ?? "")" }
    let held = output.ledger.map { "\($0.position) \($0.document.json)" }
    return (told + ["--"] + held).joined(separator: "\n")
  }
}

extension Engine {
  /// Every patient's state, in order of number.
  var allStates: [[UInt8]] { patientNumbers.map { encodeState(of: $0)?.bytes ?? [] } }
}

enum TestRules {
  /// As shipped, with nothing but the limit, hold and bypass.
  static let low = """
    rule: low
    title: Low
    source: test
    priority: medium
    parameters:
      limit: { default: 90, min: 80, max: 95, unit: "%" }
    when: last(spo2) < $limit
    for: 15s
    max_hold: 60s
    clear: { when: "last(spo2) >= $limit + 2", for: 10s }
    bypass: last(spo2) < $limit - 10
    refractory: 10m
    message: "{value} {duration} {limit}"
    """
  static let noData = """
    ---
    rule: no-data
    title: No data
    kind: technical
    source: test
    priority: low
    each: series
    when: stale()
    clear: { when: "not stale()", for: 10s }
    message: "no {code} from {device}"
    """
  static let news = """
    ---
    rule: news
    title: NEWS2
    source: test
    priority: medium
    parameters:
      limit: { default: 5, unit: "{score}" }
    when: news2().total >= $limit
    clear: { when: "news2().total < $limit", for: 30s }
    message: "NEWS2 {total}{missing}"
    """
}

extension Strip {
  /// Something a person did, or an alert setting, at a second.
  @discardableResult
  func act(_ second: Double, _ action: AlertAction, patient: String = "p1") -> Strip {
    engine.applyAction(control(second, patient: patient), action)
    return self
  }

  @discardableResult
  func alarm(_ second: Double, _ word: String, end: Bool = false, patient: String = "p1", device: String = "a") -> Strip
  {
    engine.applyDeviceAlarm(
      control(second, patient: patient, device: device), DeviceAlarm(event: word, hasEnded: end, priority: .medium))
    return self
  }

  func control(_ second: Double, patient: String, device: String = "a") -> Slot {
    var slot = Slot()
    slot.kind = .payload
    slot.patient = directory.patient(tenant: tenant, patient: patient)
    slot.device = directory.device(tenant: tenant, device: device)
    slot.eventTime = Strip.origin + Int64(second * 1000)
    slot.ingestTime = slot.eventTime
    return numbered(slot)
  }

  /// The id of the newest alert told.
  var newestAlert: String { documents.last?.alertID ?? "" }
}

extension Strip {
  /// Another engine goes on from this one's checkpoints; what was said so far stays.
  func restart(options: EngineOptions) throws {
    let fresh = Engine(layout: layout, options: options, names: directory)
    for number in engine.patientNumbers {
      guard let state = engine.encodeState(of: number) else { continue }
      try fresh.restoreState(of: number, position: state.position, bytes: state.bytes)
    }
    fresh.finishRestoring()
    fresh.resume(at: engine.position, clock: engine.clock)
    fresh.output = engine.output
    replaceEngine(fresh)
  }
}
