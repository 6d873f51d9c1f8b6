import ChunkCoding
import Foundation
import Pipeline
import Recordings
import SeriesStore
import Service
import VitalModel

/// `vigil codec train`: from recordings, stores or the simulator to a set of start states.
enum CodecTraining {
  static func run(_ arguments: Arguments, inputs: [String]) throws(CommandFailure) -> Int32 {
    let fromSimulator = arguments.has("--simulator")
    guard let output = arguments.value("--output"), inputs.isEmpty == fromSimulator else {
      throw CommandFailure(
        ExitCode.usage, "codec train: give recordings or stores, or --simulator, and --output FILE")
    }
    try OutputCheck.run("codec train", arguments, writing: ["--output"], reading: [], inputs: inputs)
    let own = Int(StatesShelf.ownNumberMin)
    let range = fromSimulator ? 1...Int(UInt32.max) : own...Int(UInt32.max)
    let number = UInt32(try arguments.int("--id", in: range) ?? (fromSimulator ? 1 : own))
    let lessons = CodecLessons()
    let progress = ProgressBar(total: 0, label: "samples learned from")
    if fromSimulator {
      let seed = try arguments.value("--seed", as: "a whole number from 0") { UInt64($0) } ?? CodecLessons.builtInSeed
      try learning { try lessons.simulate(seed: seed) { progress.advance(to: lessons.samples) } }
    }
    for input in inputs { try read(input, arguments, into: lessons) { progress.advance(to: lessons.samples) } }
    progress.finish()
    guard lessons.samples > 0 else {
      throw CommandFailure(
        ExitCode.failed, "codec train: there is nothing to learn from in \(inputs.joined(separator: ", "))")
    }
    let (states, check) = try learning {
      // A simulator alone does not know how people's numbers move.
      guard let states = try lessons.finish(id: number, keepsValues: !inputs.isEmpty) else {
        throw CommandFailure(ExitCode.failed, "codec train: nothing was learned")
      }
      return (states, try lessons.check(states, against: .builtIn))
    }
    try OutputFile.write(states.bytes, to: output, for: .everyone)
    report(states, check, lessons, output, arguments)
    return ExitCode.ok
  }

  private static func read(
    _ input: String, _ arguments: Arguments, into lessons: CodecLessons, advance: () -> Void
  ) throws(CommandFailure) {
    if FileManager.default.fileExists(atPath: input + "/CURRENT") {
      let access = try StoreAccess(path: input, arguments)
      return try access.reading { try read(access, into: lessons, advance: advance) }
    }
    var own = arguments
    own.positional = [input]
    let inputs = try RecordingInputs(own)
    let reader = inputs.reader { _ in }
    let keys = inputs.registry.vitals.map(\.key)
    try learning { try lessons.begin(keys: keys) }
    var trouble: (any Error)?
    try inputs.forEach(reader) { row in
      do {
        for cell in row.cells {
          var slot = row.slot(cell)
          slot.patient = row.patient
          slot.device = row.device
          slot.source = cell.source
          try lessons.add(slot, patient: reader.names.patients[row.patient])
        }
      } catch {
        trouble = error
      }
      advance()
      return trouble == nil
    }
    try learning {
      if let trouble { throw trouble }
      try lessons.end()
    }
    inputs.warn(reader)
  }

  /// Everything a store holds, or the people held out alone.
  static func read(
    _ access: StoreAccess, into lessons: CodecLessons, heldOutOnly: Bool = false, advance: () -> Void = {}
  ) throws {
    let series = try StoredSeries(access)
    try lessons.begin(keys: access.registry.vitals.map(\.key))
    for group in try series.groups() {
      let patient = access.directory.patientKey(group.patient)?.patient ?? ""
      if heldOutOnly, !CodecLessons.isHeldOut(patient) { continue }
      let cursor = try series.rows(group, from: nil, to: nil, superseded: true)
      var row = SeriesRow()
      while try cursor.next(&row) {
        for cell in row.cells { try lessons.add(slot(cell, row, group), patient: patient) }
      }
      advance()
    }
    try lessons.end()
  }

  private static func slot(_ cell: SeriesCell, _ row: SeriesRow, _ group: SeriesGroup) -> Slot {
    var slot = Slot()
    slot.kind = .sample
    slot.patient = group.patient
    slot.device = group.device
    slot.code = cell.column.code
    slot.unit = cell.column.unit
    slot.source = cell.column.source
    slot.value = cell.cell.value
    slot.quality = cell.cell.quality
    slot.statusRaw = cell.cell.statusRaw
    slot.flags = cell.cell.flags
    slot.deviceSequence = cell.cell.sequence
    slot.eventTime = row.time
    slot.ingestTime = cell.cell.ingestTime
    return slot
  }

  private static func learning<Value>(_ body: () throws -> Value) throws(CommandFailure) -> Value {
    do {
      return try body()
    } catch let failure as CommandFailure {
      throw failure
    } catch {
      throw CommandFailure(ExitCode.failed, "codec train: \(error)")
    }
  }

  private static func report(
    _ states: StartStates, _ check: CodecLessons.Check, _ lessons: CodecLessons, _ output: String,
    _ arguments: Arguments
  ) {
    guard !arguments.has("--json") else {
      var out = JSONText()
      out.object {
        $0.field("output", output)
        CodecCommand.describe(states, &$0)
        $0.field("samples", lessons.samples)
        $0.field("people", lessons.people)
        CodecCommand.describe(check, &$0)
      }
      return printLine(out.text)
    }
    printLine(
      "set \(states.id): \(states.valueNames.count) value and \(states.stampKinds.count) stamp models from "
        + "\(lessons.samples) samples, \(states.bytes.count) bytes in \(output)")
    guard check.samples > 0 else { return printLine("nobody was held out to check it on") }
    let before = String(format: "%.4f", Double(check.bytesBefore) / Double(check.samples))
    let after = String(format: "%.4f", Double(check.bytesAfter) / Double(check.samples))
    printLine(
      "on \(check.samples) samples held out: \(after) bytes a sample, marks and headers included; with the built-in set "
        + "\(before) (saves \(CodecCommand.percent(check.saving)))")
  }
}
