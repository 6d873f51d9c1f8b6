import Recordings
import Synchronization
import Testing
import VitalModel

@testable import Service

/// Rows shared out between threads come back as if one had taken them all.
@Suite struct RowFanTests {
  /// Says what it was shown.
  private final class Witness: RowWorker {
    struct Seen: Sendable, Equatable {
      var patient: String
      var device: String
      var time: Int64
      var values: [Int64]
      var position: UInt64
    }

    var count = 0

    func take(_ row: RecordedRow, names: RecordingNames, position: UInt64, _ outputs: inout [Seen]) {
      count += 1
      // Two of every third row's, none of the others': outputs do not come evenly.
      guard row.time % 3 == 0 else { return }
      let seen = Seen(
        patient: names.patients[row.patient], device: names.devices[row.device], time: row.time,
        values: row.cells.map(\.value.mantissa), position: position)
      outputs += [seen, seen]
    }

    func take(_ event: FannedEvent, names: RecordingNames, position: UInt64, _ outputs: inout [Seen]) {
      outputs.append(
        Seen(
          patient: names.patients[event.patient], device: names.devices[event.device], time: event.event.time,
          values: [], position: position))
    }
  }

  private func cells(_ count: Int, _ base: Int64) -> [RecordedCell] {
    (0..<count).map { index in
      RecordedCell(code: VitalCode(index: 0), unit: 0, value: DecimalValue(mantissa: base + Int64(index)))
    }
  }

  /// Rows of `patients` in turn for long enough that several batches are under way, one alarm among them.
  private func run(threads: Int, rows: Int, patients: Int) -> (seen: [Witness.Seen], counts: [Int]) {
    var seen: [Witness.Seen] = []
    let fan = RowFan(threads: threads, make: { _ in Witness() }, sink: { seen.append($0) })
    let names = RecordingNames()
    for index in 0..<rows {
      // Stays of 700 rows: the next patients come as the first leave.
      let patient = names.patients.number(of: "p\((index / 700 + index % patients))")
      let device = names.devices.number(of: "d\(index % 7)")
      cells(1 + index % 4, Int64(index)).withUnsafeBufferPointer {
        fan.take(
          RecordedRow(
            patient: patient, device: device, tenant: 0, time: Int64(index), sequence: RecordedRow.absent,
            ingestTime: RecordedRow.absent, cells: $0), names: names)
      }
      if index == 5000 {
        let alarm = RecordedEvent(patient: "stranger", device: "", time: 5000, event: "asystole", starts: true)
        fan.take(alarm, names: names)
      }
    }
    fan.finish()
    return (seen, fan.workers.map(\.count))
  }

  @Test func outputsComeInTheOrderOfTheRowsForAnyNumberOfThreads() {
    let one = run(threads: 1, rows: 9000, patients: 5)
    #expect(one.seen.count == 2 * 3000 + 1 && one.counts == [9000])
    #expect(zip(one.seen, one.seen.dropFirst()).allSatisfy { $0.position <= $1.position })
    #expect(one.seen.contains { $0.patient == "stranger" && $0.device == "stranger" })
    for threads in [2, 5] {
      let many = run(threads: threads, rows: 9000, patients: 5)
      #expect(many.seen == one.seen)
      #expect(many.counts.count == threads && many.counts.reduce(0, +) == 9000)
      #expect(many.counts.allSatisfy { $0 > 0 })
    }
  }

  @Test func positionsLeaveRoomForEveryCellOfARow() {
    let seen = run(threads: 2, rows: 30, patients: 1).seen
    for (own, next) in zip(seen, seen.dropFirst()) where own.position != next.position {
      #expect(next.position > own.position + UInt64(own.values.count))
    }
  }

  @Test func aFanThatIsDroppedEndsItsThreads() {
    final class Noted: RowWorker {
      let isGone: @Sendable () -> Void
      init(_ isGone: @escaping @Sendable () -> Void) { self.isGone = isGone }
      deinit { isGone() }
      func take(_ row: RecordedRow, names: RecordingNames, position: UInt64, _ outputs: inout [Never]) {}
    }
    let gone = Atomic(0)
    withExtendedLifetime(gone) {
      do {
        let fan = RowFan(
          threads: 3, make: { _ in Noted { gone.add(1, ordering: .sequentiallyConsistent) } }, sink: { _ in })
        let names = RecordingNames()
        _ = names.patients.number(of: "p")
        cells(2, 0).withUnsafeBufferPointer {
          fan.take(
            RecordedRow(
              patient: 0, device: 0, tenant: 0, time: 0, sequence: RecordedRow.absent,
              ingestTime: RecordedRow.absent, cells: $0), names: names)
        }
      }
      #expect(gone.load(ordering: .sequentiallyConsistent) == 3)
    }
  }

  @Test func aRecordingLargerThanWhatMayBeUnderWayStillComesThrough() {
    final class Counter: RowWorker {
      var cells = 0
      func take(_ row: RecordedRow, names: RecordingNames, position: UInt64, _ outputs: inout [Never]) {
        cells += row.cells.count
      }
    }
    let fan = RowFan(threads: 2, make: { _ in Counter() }, sink: { _ in })
    let names = RecordingNames()
    for name in ["a", "b"] { _ = names.patients.number(of: name) }
    let wide = cells(4000, 0)
    let rows = 2 * RowFan<Counter>.bytesMax / (wide.count * MemoryLayout<RecordedCell>.stride)
    wide.withUnsafeBufferPointer {
      for index in 0..<rows {
        fan.take(
          RecordedRow(
            patient: UInt32(index % 2), device: 0, tenant: 0, time: 0, sequence: RecordedRow.absent,
            ingestTime: RecordedRow.absent, cells: $0), names: names)
      }
    }
    fan.finish()
    #expect(fan.workers.reduce(0) { $0 + $1.cells } == rows * wide.count)
  }
}
