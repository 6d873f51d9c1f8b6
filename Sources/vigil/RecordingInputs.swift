import Configuration
import Foundation
import Recordings
import Service
import VitalModel
import YAMLText

/// A replay's inputs as its options describe them: rules, files, columns.
struct RecordingInputs {
  let plan: RulePlan
  let registry: VitalRegistry
  let setName: String
  let paths: [String]
  let options: RecordingOptions
  let eventsPath: String?
  let totalBytes: Int
  /// What was said about the inputs: once, however often they are read.
  private let hints = Hints()

  init(_ arguments: Arguments) throws(CommandFailure) {
    let (files, set) = try RecordingInputs.rules(arguments)
    let plan: RulePlan
    do throws(RuleFiles.Failure) {
      plan = try files.plan(set: set)
    } catch {
      throw CommandFailure(ExitCode.badConfiguration, error.description)
    }
    try self.init(arguments, files: files, plan: plan, setName: set ?? "all", paths: arguments.positional)
  }

  /// The rule files asked for and the set of them; nil: all of their rules.
  static func rules(_ arguments: Arguments) throws(CommandFailure) -> (files: RuleFiles, set: String?) {
    let path = arguments.value("--rules") ?? "Rules"
    let isFile = path.hasSuffix(".yaml") || path.hasSuffix(".yml")
    do throws(RuleFiles.Failure) {
      return (try RuleFiles.read(path), arguments.value("--set") ?? (isFile ? nil : "adult-ward"))
    } catch {
      throw CommandFailure(ExitCode.badConfiguration, error.description)
    }
  }

  /// Recordings to be read with the rules given.
  init(
    _ arguments: Arguments, files: RuleFiles, plan: RulePlan, setName: String, paths: [String]
  ) throws(CommandFailure) {
    self.plan = plan
    registry = plan.registry
    self.setName = setName
    self.paths = paths
    eventsPath = arguments.value("--events")
    options = try RecordingInputs.options(arguments, files, registry, paths: paths)
    if let from = try arguments.time("--from"), let to = try arguments.time("--to"), from >= to {
      hints.say("vigil: `--from` is not before `--to`: no sample lies between them")
    }
    var bytes = 0
    for path in paths {
      guard let size = (try? FileManager.default.attributesOfItem(atPath: path))?[.size] as? Int else {
        throw CommandFailure(ExitCode.usage, "\(path): no such recording")
      }
      bytes += size
    }
    totalBytes = bytes
  }

  /// How the files at `paths` are to be read.
  static func options(
    _ arguments: Arguments, _ files: RuleFiles, _ registry: VitalRegistry, paths: [String]
  ) throws(CommandFailure) -> RecordingOptions {
    var options = RecordingOptions()
    options.tenant = arguments.value("--tenant") ?? "demo"
    options.device = arguments.value("--device")
    if let epoch = try arguments.time("--epoch") { options.epoch = epoch }
    options.columns = try columns(arguments, files, registry, paths: paths)
    return options
  }

  /// The map named, or the one named like the recording's folder; `--map` on top.
  private static func columns(
    _ arguments: Arguments, _ files: RuleFiles, _ registry: VitalRegistry, paths: [String]
  ) throws(CommandFailure) -> Recordings.ColumnMap {
    var columns = Recordings.ColumnMap()
    let asked = arguments.value("--columns")
    let folder = paths.first.map {
      URL(fileURLWithPath: $0).standardizedFileURL.deletingLastPathComponent().lastPathComponent
    }
    if let name = asked ?? folder {
      let found: Configuration.ColumnMap?
      do throws(RuleFiles.Failure) {
        found = try files.columnMap(named: name, registry: registry)
      } catch {
        throw CommandFailure(ExitCode.badConfiguration, error.description)
      }
      if found == nil, asked != nil { throw CommandFailure(ExitCode.usage, "no column map `\(name)` in Rules/maps") }
      if let found {
        columns.ignored = found.ignored
        for (name, column) in found.columns {
          let units = registry[column.code].units
          let unit = units.indices.contains(column.unit) ? units[column.unit].unit : nil
          columns.targets[name] = .init(key: column.key, unit: unit, source: column.source)
        }
      }
    }
    for mapping in arguments.all("--map") where !columns.add(argument: mapping) {
      throw CommandFailure(ExitCode.usage, "`--map` must be COLUMN=KEY[:UNIT], not `\(mapping)`")
    }
    return columns
  }

  func reader(_ refuse: @escaping (RecordingRefusal) -> Void) -> RecordingReader {
    RecordingReader(paths.map { RecordingFile(path: $0) }, registry: registry, options: options, refuse: refuse)
  }

  func forEach(_ reader: RecordingReader, _ body: (RecordedRow) -> Bool) throws(CommandFailure) {
    do throws(RecordingError) {
      try reader.forEach(body)
    } catch {
      throw CommandFailure(ExitCode.failed, error.description)
    }
  }

  func forEach(_ sorter: RecordingSorter, _ body: (RecordedRow) -> Bool) throws(CommandFailure) {
    do throws(RecordingError) {
      try sorter.forEach(body)
    } catch {
      throw CommandFailure(ExitCode.failed, error.description)
    }
  }

  /// One quick pass: whether every patient's rows come in order of time, so that nothing need be sorted.
  func isInOrder() throws(CommandFailure) -> Bool {
    if paths.count > 1 { return false }
    let reader = reader { _ in }
    try forEach(reader) { _ in reader.counts.outOfOrder == 0 }
    return reader.counts.outOfOrder == 0
  }

  func events() throws(CommandFailure) -> [RecordedEvent] {
    guard let eventsPath else { return [] }
    do throws(RecordingError) {
      let events = try RecordingTables.events(RecordingFile(path: eventsPath), epoch: options.epoch)
      return events.enumerated().sorted { ($0.element.time, $0.offset) < ($1.element.time, $1.offset) }.map(\.element)
    } catch {
      throw CommandFailure(ExitCode.failed, error.description)
    }
  }

  /// Says what of a recording read to its end was not used.
  ///
  /// - Parameter patients: those asked for; empty: everybody.
  func warn(_ reader: RecordingReader, patients: [String] = []) {
    for column in reader.unknownColumns {
      let name = shown(column.name)
      hints.say("vigil: column `\(name)` is not a known vital: \(column.cells) cells skipped (--map \(name)=KEY)")
    }
    guard !patients.isEmpty else { return }
    let known = Set(reader.names.patients.texts)
    let strangers = patients.filter { !known.contains($0) }
    guard let first = strangers.first else { return }
    let more = strangers.count > 1 ? " nor \(strangers.count - 1) more of `--patients`" : ""
    hints.say("vigil: there is no patient `\(shown(first))`\(more) in the recording")
  }
}

/// Lines for standard error, each told once.
private final class Hints {
  private var told: Set<String> = []

  func say(_ line: String) { if told.insert(line).inserted { printError(line) } }
}
