import ChunkCoding
import Testing
import VitalModel

@Suite struct RowLogTests {
  @Test(arguments: 0..<40) func keepsEveryCellAsItCame(seed: Int) {
    var generator = SplitMix64(state: UInt64(seed))
    let slots = randomSlots(&generator, messages: 1 + generator.below(120), wild: seed % 2 == 1)
    guard !slots.isEmpty else { return }
    var log = RowLog(patient: 7, device: 9)
    for (index, slot) in slots.enumerated() { log.append(slot, position: 1000 + UInt64(index)) }
    let rows = log.rows()
    #expect(rows.isWellFormed)
    #expect(rows.cellCount == slots.count)
    #expect(rows.firstPosition == 1000 && rows.lastPosition == 1000 + UInt64(slots.count) - 1)
    let expected = slots.map {
      Fact(
        time: $0.eventTime, column: ChunkColumn(code: $0.code, unit: $0.unit, source: $0.source), cell: ChunkCell($0))
    }
    #expect(
      Dictionary(rows.facts.map { ($0, 1) }, uniquingKeysWith: +)
        == Dictionary(expected.map { ($0, 1) }, uniquingKeysWith: +))
    // The newest value of each series and time is the one that came last.
    for fact in expected {
      let last = expected.last { $0.time == fact.time && $0.column.isSameSeries(as: fact.column) }
      let newest = rows.newestCell(code: fact.column.code, source: fact.column.source, time: fact.time)
      #expect(newest?.cell == last?.cell && newest?.unit == last?.column.unit)
      let inLog = log.newestCell(code: fact.column.code, source: fact.column.source, time: fact.time)
      #expect(inLog?.cell == last?.cell && inLog?.unit == last?.column.unit)
    }
  }

  @Test func equalTimesAreOneRowHoweverTheyArrived() {
    // SEMANTICS A4: heart rate at 1 s and 2 s, then saturation at 1 s.
    let rows = rows(of: [
      sampleSlot(code: 0, time: 1000, mantissa: 70), sampleSlot(code: 0, time: 2000, mantissa: 71),
      sampleSlot(code: 1, time: 1000, mantissa: 98),
    ])
    #expect(rows.times == [1000, 2000])
    #expect(rows.columns[1].rows == [0])
  }

  @Test func aCorrectionIsALaterRow() {
    let rows = rows(of: [
      sampleSlot(code: 0, time: 1000, mantissa: 70), sampleSlot(code: 0, time: 2000, mantissa: 71),
      sampleSlot(code: 0, time: 1000, mantissa: 170, unit: 1, flags: .corrected),
    ])
    #expect(rows.times == [1000, 1000, 2000])
    let newest = rows.newestCell(code: VitalCode(index: 0), source: 0, time: 1000)
    #expect(newest?.cell.mantissa == 170 && newest?.unit == 1)
    #expect(rows.newestCell(code: VitalCode(index: 0), source: 1, time: 1000) == nil)
  }

  @Test func readingDoesNotDisturbAppending() {
    var generator = SplitMix64(state: 5)
    let slots = randomSlots(&generator, messages: 50, wild: false)
    var log = RowLog(patient: 7, device: 9)
    for (index, slot) in slots.enumerated() {
      log.append(slot, position: 1000 + UInt64(index))
      #expect(log.rows().cellCount == index + 1)
    }
    #expect(log.rows() == rows(of: slots))
  }

  @Test func knowsItsBounds() {
    var log = RowLog(patient: 7, device: 9)
    #expect(log.isEmpty && log.newestTime(code: VitalCode(index: 0), source: 0) == nil)
    for code in 0..<UInt16(ChunkLimits.columnsMax) {
      log.append(sampleSlot(code: code, time: 5, mantissa: 1), position: UInt64(code))
    }
    #expect(log.rowCount == 1 && log.cellCount == 64 && log.columnCount == 64)
    #expect(log.isFull(for: ChunkColumn(code: VitalCode(index: 64), unit: 0, source: 0)))
    #expect(!log.isFull(for: ChunkColumn(code: VitalCode(index: 63), unit: 0, source: 0)))
    #expect(log.beginsRow(ChunkColumn(code: VitalCode(index: 3), unit: 1, source: 0), time: 5))
    #expect(!log.beginsRow(ChunkColumn(code: VitalCode(index: 3), unit: 1, source: 2), time: 5))
    #expect(log.rows().columns.count == 64)
  }

  /// 10,000 devices with 600 rows of four values must fit in 80 MB.
  @Test func takesLittleMemory() {
    var generator = SplitMix64(state: 11)
    var log = RowLog(patient: 7, device: 9)
    var levels: [Int64] = [72, 98, 367, 16]
    var position: UInt64 = 0
    for row in 0..<600 {
      let time = 1_700_000_000_000 + Int64(row) * 1000 + Int64(generator.below(30))
      for code in 0..<4 {
        levels[code] += Int64(generator.below(5)) - 2
        var slot = sampleSlot(
          code: UInt16(code), time: time, mantissa: levels[code], exponent: code == 2 ? -1 : 0,
          ingest: time + Int64(generator.below(60)), sequence: Int64(row), quality: 9_500)
        if code == 3 { slot.flags.insert(.endOfMessage) }
        log.append(slot, position: position)
        position += 40_000
      }
    }
    #expect(log.byteCount * 10_000 < 80_000_000, "\(log.byteCount) bytes a device")
  }
}
