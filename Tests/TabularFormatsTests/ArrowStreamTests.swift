import Foundation
import TestSupport
import Testing
import VitalModel

@testable import TabularFormats

@Suite struct ArrowStreamTests {
  private func stream(_ rows: [ObservationRow], names: ObservationNames = Examples.names, batch: Int = 65_536) throws
    -> [UInt8]
  {
    var writer = try ArrowStreamWriter(names: names, rowsPerBatch: batch)
    for row in rows { writer.append(row) }
    writer.finish()
    return writer.take()
  }

  /// What a row must read back as.
  private func expected(_ row: ObservationRow) -> [String?] {
    let names = Examples.names
    return [
      names.tenants[Int(row.tenant)], names.patients[Int(row.patient)], names.devices[Int(row.device)],
      names.registry[row.code].key, row.source < 0 ? nil : names.sources[Int(row.source)], String(row.time),
      String(row.ingestTime), String(row.value.double), names.unit(row), String(row.value.mantissa),
      String(row.value.exponent), names.letter(row), row.status.text, row.quality.value.map { String(Float($0)) },
      row.sequence.map(String.init), String(row.flags.rawValue), String(row.isSuperseded),
    ]
  }

  /// The file is also read by pyarrow, polars and DuckDB (Deploy/checks/55-handoff.sh). `VIGIL_REWRITE_GOLDEN=1` writes it
  /// anew.
  @Test func aFewRowsAreExactlyTheseBytes() throws {
    let path = RepositoryRoot.path + "/Tests/TabularFormatsTests/Golden/few.arrows.bin"
    let made = try stream(Examples.few)
    if ProcessInfo.processInfo.environment["VIGIL_REWRITE_GOLDEN"] == "1" {
      try Data(made).write(to: URL(fileURLWithPath: path))
    }
    let kept = try Array(Data(contentsOf: URL(fileURLWithPath: path)))
    #expect(
      made == kept, "first difference at byte \(zip(made, kept).enumerated().first { $1.0 != $1.1 }?.offset ?? -1)")
  }

  @Test func everyColumnReadsBackWithItsNulls() throws {
    let reading = try ArrowReading(try stream(Examples.few))
    #expect(
      reading.columns == [
        "tenant", "patient", "device", "code", "source", "time", "ingest_time", "value", "unit", "mantissa", "exponent",
        "letter", "status", "quality", "seq", "flags", "superseded",
      ])
    #expect(
      reading.rows == [
        [
          "demo", "p 2/ü", "d-9", "spo2", "pleth", "1767225600123", "1767225600373", "0.93", "1", "930", "-3", nil,
          "ok",
          "0.93", "4711", "192", "false",
        ],
        [
          "demo", "p-1", "d-9", "consciousness", nil, "1767225600623", "1767225600873", "3.0", "{ACVPU}", "3", "0", "P",
          "ok", nil, nil, "0", "false",
        ],
        [
          "demo", "p-1", "d-9", "temp", nil, "1767225601123", "1767225601373", "-0.5", "Cel", "-5", "-1", nil,
          "lead-off", nil, nil, "0", "true",
        ],
      ])
    #expect(reading.notes == ["vigil.table": "observations", "vigil.version": "1"])
  }

  @Test func nothingStoredIsAStreamOfNoBatches() throws {
    let nobody = ObservationNames(registry: Examples.registry)
    let reading = try ArrowReading(try stream([], names: nobody))
    #expect(reading.columns.count == 17)
    #expect(reading.batches == 0 && reading.rows.isEmpty)
  }

  /// Batches of every size around a byte of the bitmaps, and numbers at their limits.
  @Test func randomRowsReadBackInBatchesOfAnySize() throws {
    var chance = SeededGenerator(printing: 5, for: "randomRowsReadBackInBatchesOfAnySize")
    for batch in [1, 7, 8, 9, 64] {
      let rows = (0..<130).map { _ in randomRow(&chance) }
      let reading = try ArrowReading(try stream(rows, batch: batch))
      #expect(reading.rows == rows.map(expected), "batches of \(batch)")
      #expect(reading.batches == (130 + batch - 1) / batch)
    }
  }

  private func randomRow(_ chance: inout SeededGenerator) -> ObservationRow {
    let limits: [Int64] = [0, 1, -1, 999_999_999_999_999_999, -999_999_999_999_999_999]
    let vital = Int.random(in: 0..<Examples.registry.vitals.count, using: &chance)
    let mantissa =
      Bool.random(using: &chance)
      ? limits[Int.random(in: 0..<5, using: &chance)] : Int64.random(in: -5...2000, using: &chance)
    var row = ObservationRow(
      tenant: 0, patient: .random(in: 0...1, using: &chance), device: 0, source: .random(in: -1...1, using: &chance),
      code: VitalCode(index: UInt16(vital)),
      unit: UInt8.random(in: 0..<UInt8(Examples.registry.vitals[vital].units.count), using: &chance),
      time: Bool.random(using: &chance) ? Timestamp.accepted.lowerBound : Examples.time, ingestTime: Examples.time,
      value: DecimalValue(mantissa: mantissa, exponent: .random(in: -18...18, using: &chance)))
    row.statusRaw = .random(in: 0...5, using: &chance)
    row.flags = SampleFlags(rawValue: .random(in: 0...511, using: &chance))
    row.quality = Bool.random(using: &chance) ? .absent : SampleQuality(raw: .random(in: 0...10_000, using: &chance))
    row.sequence = Bool.random(using: &chance) ? nil : .random(in: .min ... .max, using: &chance)
    row.isSuperseded = Bool.random(using: &chance)
    return row
  }

  @Test func whatIsGivenOutInPiecesIsTheSameStream() throws {
    let rows = (0..<20).map { Examples.row("hr", "\(60 + $0)", at: Int64($0) * 1000) }
    var writer = try ArrowStreamWriter(names: Examples.names, rowsPerBatch: 6)
    var pieces = writer.take()
    for row in rows {
      writer.append(row)
      pieces += writer.take()
    }
    writer.finish()
    pieces += writer.take()
    #expect(pieces == (try stream(rows, batch: 6)))
    #expect(writer.count == 0)
  }

  /// What a store of another version may hold must not stop an export.
  @Test func anUnknownUnitOrStatusFallsBack() throws {
    var row = Examples.row("hr", "72")
    row.unit = 200
    row.statusRaw = 99
    let cells = try #require(try ArrowReading(try stream([row])).rows.first)
    #expect(cells[8] == "/min" && cells[12] == "ok")
  }
}
