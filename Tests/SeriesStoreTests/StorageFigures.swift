import ChunkCoding
import Foundation
import KeyValueStore
import Testing
import VitalModel

@testable import SeriesStore

/// The figures of `docs/storage.md`: a week of one patient, four vitals at one value a second, and of a slow device.
///
///     VIGIL_STORAGE_FIGURES=1 swift test -c release -Xswiftc -enable-testing --filter StorageFigures
@Suite struct StorageFigures {
  private static let days = ProcessInfo.processInfo.environment["VIGIL_STORAGE_FIGURES"] == nil ? 0 : 7

  @Test func ofAWeek() throws {
    let scratch = try Scratch()
    let sealer = try Sealer(store: scratch.store)
    let start: Int64 = 1_700_006_400_000
    // A quarter of an hour stands for the week where nobody asked for figures, so that this cannot rot.
    let seconds = StorageFigures.days == 0 ? 900 : StorageFigures.days * 86_400
    var samples = 0
    for (index, second) in stride(from: 0, to: seconds, by: 900).enumerated() {
      let slots = steadySlots(
        seed: UInt64(index), seconds: min(900, seconds - second), start: start + Int64(second) * 1000,
        position: UInt64(samples + 1))
      sealer.append(slots)
      samples += slots.count
      try sealer.seal(now: start + Int64(second) * 1000)
      _ = try sealer.upkeep(now: start + Int64(second) * 1000)
    }
    try sealer.seal(now: .max, limit: .max, all: true)
    try sealer.finishUpkeep()
    let reader = try SeriesReader(scratch.store)
    let figures = try reader.figures()
    #expect(figures.all.samples == samples && figures.rollupDays >= 1)
    print("samples \(samples), chunks \(figures.chunks), bytes a sample \(figures.all.bytesPerSample ?? 0)")
    print("rollups \(figures.rollupBytes) bytes, \(Double(figures.rollupBytes) / Double(samples)) a sample")
    // In turns, so that what else the machine does falls on all of them alike.
    var scans: [Scan: [Duration]] = [:]
    for _ in 0..<(StorageFigures.days == 0 ? 1 : 9) {
      for scan in Scan.all { scans[scan, default: []].append(try StorageFigures.time(scan, reader, seconds: seconds)) }
    }
    for scan in Scan.all {
      let times = (scans[scan] ?? []).sorted()
      print("\(scan.name): median \(times[times.count / 2]), \(times[0]) to \(times[times.count - 1])")
    }
    for ahead in Scan.all where ahead.isAhead {
      var without = ahead
      without.isAhead = false
      let ratios = zip(scans[ahead] ?? [], scans[without] ?? []).map { $0 / $1 }.sorted()
      print("\(ahead.name): \(ratios[ratios.count / 2]) of the time without")
    }
  }

  private struct Scan: Hashable {
    var resolution: SeriesResolution
    var isAhead = false
    /// Rows are made into text, as an export does; otherwise only counted.
    var isText = false

    var name: String { "\(resolution)\(isText ? " as text" : "")\(isAhead ? " ahead" : "")" }

    static let all =
      [false, true].flatMap { isText in
        [false, true].map { Scan(resolution: .raw, isAhead: $0, isText: isText) }
      } + [Scan(resolution: .minute), Scan(resolution: .minute, isAhead: true), Scan(resolution: .hour)]
  }

  private static func time(_ wanted: Scan, _ reader: SeriesReader, seconds: Int) throws -> Duration {
    var scan = SeriesScan()
    (scan.resolution, scan.decodesAhead) = (wanted.resolution, wanted.isAhead)
    let clock = ContinuousClock.now
    let cursor = try reader.scan(scan)
    var row = ScannedRow()
    var rows = 0
    var bytes = 0
    while try cursor.next(&row) {
      rows += 1
      guard wanted.isText else { continue }
      let moment = Timestamp.format(row.time)
      for cell in row.samples { bytes += moment.utf8.count + cell.cell.value.description.utf8.count }
    }
    cursor.close()
    let taken = ContinuousClock.now - clock
    #expect(rows >= seconds / max(1, Int(wanted.resolution.width) / 1000) && (bytes > 0) == wanted.isText)
    return taken
  }

  @Test func bytesAreSharedOutByWhatVitalsTake() throws {
    let scratch = try Scratch()
    let sealer = try Sealer(store: scratch.store, policy: plainPolicy())
    var generator = SplitMix64(state: 4)
    let slots = (0..<1200).map { index in
      let isNoisy = index % 2 == 0
      return makeSlot(
        UInt64(index), code: isNoisy ? 0 : 1, time: Int64(index / 2) * 1000 * (index < 600 ? 1 : 20),
        mantissa: isNoisy ? Int64(generator.below(5000)) : 37)
    }
    sealer.append(slots)
    try sealer.seal(now: 0, limit: .max, all: true)
    let figures = try SeriesReader(scratch.store).figures()
    let noisy = try #require(figures.vitals[VitalCode(index: 0)])
    let steady = try #require(figures.vitals[VitalCode(index: 1)])
    #expect(noisy.samples == 600 && steady.samples == 600 && noisy.bytes > 2 * steady.bytes)
    #expect(abs(noisy.bytes + steady.bytes - figures.all.bytes) < 0.001)
    #expect(figures.codecs.values.reduce(0) { $0 + $1.chunks } == figures.chunks)
    // Three hours and a third on one day.
    let growth = try #require(figures.growthPerDay)
    #expect(abs(growth / figures.all.bytes - 7.2) < 0.1)
    #expect(SeriesFigures().growthPerDay == nil)
  }

  @Test func ofASlowDevice() throws {
    let scratch = try Scratch()
    let sealer = try Sealer(store: scratch.store)
    let rows = StorageFigures.days == 0 ? 60 : StorageFigures.days * 1440
    let start: Int64 = 1_700_006_400_000
    var sealedBytes = 0
    for index in 0..<rows {
      let time = start + Int64(index) * 60_000
      sealer.append([makeSlot(UInt64(index), time: time, mantissa: 60 + Int64(index % 7), sequence: Int64(index))])
      sealedBytes += try sealer.seal(now: time).bytes
      _ = try sealer.upkeep(now: time)
    }
    sealedBytes += try sealer.seal(now: .max, all: true).bytes
    let before = try SeriesReader(scratch.store).figures()
    try sealer.finishUpkeep()
    let figures = try SeriesReader(scratch.store).figures()
    #expect(figures.all.samples == rows && figures.chunks <= before.chunks)
    print(
      "slow: \(rows) samples, sealed as \(sealer.stats.sealedChunks) chunks of \(sealedBytes) bytes, kept as "
        + "\(figures.chunks) of \(Int(figures.all.bytes)); merging wrote \(sealer.stats.upkeep.bytesMade)")
  }
}
