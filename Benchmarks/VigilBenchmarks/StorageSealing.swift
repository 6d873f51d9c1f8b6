import AlertJournal
import ChunkCoding
import Glibc
import SeriesStore
import VitalModel

/// What gathering and sealing samples costs, as CPU time of this thread.
///
/// Ten thousand devices' worth of one ward's rows would not fit a quick run: a hundred devices with 600 rows of four
/// values at 1 Hz, with the stamps jittered by some ms as devices do, journaled interleaved.
func sealingBenchmark(devices: Int = 100, rows: Int = 600, rounds: Int = 5) {
  let slots = sealingSlots(devices: devices, rows: rows)
  do {
    benchmarkLogs(slots, devices: devices, rounds: rounds)
    try benchmarkSealer(slots)
  } catch {
    print("sealing: failed: \(error)")
  }
}

/// Appends alone, without the store around them.
private func benchmarkLogs(_ slots: [Slot], devices: Int, rounds: Int) {
  var best = UInt64.max
  var unpack = UInt64.max
  var logs: [RowLog] = []
  for _ in 0..<rounds {
    logs = (0..<UInt32(devices)).map { RowLog(patient: $0, device: $0) }
    let start = StorageBenchmark.nanoseconds()
    for slot in slots { logs[Int(slot.device)].append(slot, position: slot.payload) }
    best = min(best, StorageBenchmark.nanoseconds() - start)
    let unpacking = StorageBenchmark.nanoseconds()
    let rows = logs.reduce(0) { $0 + $1.rows().cellCount }
    unpack = min(unpack, StorageBenchmark.nanoseconds() - unpacking)
    precondition(rows == slots.count, "a row log loses nothing")
  }
  let bytes = logs.reduce(0) { $0 + $1.byteCount }
  print(
    "sealing: row log append: \(perSample(best, slots.count)), \(perThousand(bytes, slots.count)) B/sample in memory")
  print("sealing: row log unpack: \(perSample(unpack, slots.count))")
}

/// The room as the service uses it: batches in, rounds out, on a real store.
private func benchmarkSealer(_ slots: [Slot]) throws {
  let folder = try StorageFolder.make()
  defer { StorageFolder.remove(folder) }
  let store = try VigilStore.open(path: folder + "/store")
  let sealer = try Sealer(store: store.store)
  var appended: UInt64 = 0
  var sealed: UInt64 = 0
  try slots.withUnsafeBufferPointer { slots in
    for from in stride(from: 0, to: slots.count, by: 1024) {
      let batch = UnsafeBufferPointer(rebasing: slots[from..<min(from + 1024, slots.count)])
      var start = StorageBenchmark.nanoseconds()
      let isFull = sealer.append(batch)
      appended += StorageBenchmark.nanoseconds() - start
      start = StorageBenchmark.nanoseconds()
      if isFull { try sealer.seal(now: batch[0].ingestTime) }
      sealed += StorageBenchmark.nanoseconds() - start
    }
  }
  let start = StorageBenchmark.nanoseconds()
  try sealer.seal(now: 0, limit: .max, all: true)
  sealed += StorageBenchmark.nanoseconds() - start
  print("sealing: sealer append: \(perSample(appended, slots.count)), seal: \(perSample(sealed, slots.count))")
  store.close()
}

/// A ward's slots in journal order.
private func sealingSlots(devices: Int, rows: Int) -> [Slot] {
  var random: UInt64 = 88_172_645_463_325_252
  func below(_ limit: UInt64) -> Int64 {
    random ^= random << 13
    random ^= random >> 7
    random ^= random << 17
    return Int64(random % limit)
  }
  var levels = [[Int64]](repeating: [72, 97, 368, 16], count: devices)
  var slots: [Slot] = []
  slots.reserveCapacity(devices * rows * 4)
  for row in 0..<Int64(rows) {
    for device in 0..<devices {
      let time = 1_795_214_280_000 + row * 1000 + Int64(device) * 7 + below(20)
      let ingest = time + 20 + below(15)
      for code in 0..<4 {
        if below(4) == 0 { levels[device][code] += below(3) - 1 }
        var slot = Slot()
        slot.kind = .sample
        slot.patient = UInt32(device)
        slot.device = UInt32(device)
        slot.code = VitalCode(index: UInt16(code))
        slot.value = DecimalValue(mantissa: levels[device][code], exponent: code == 2 ? -1 : 0)
        slot.eventTime = time
        slot.ingestTime = ingest
        slot.deviceSequence = row
        slot.flags = code == 3 ? [.hasSequence, .endOfMessage] : .hasSequence
        slot.payload = UInt64(slots.count)
        slots.append(slot)
      }
    }
  }
  return slots
}

private func perSample(_ nanoseconds: UInt64, _ samples: Int) -> String {
  let million = Double(samples) * 1000 / Double(max(1, nanoseconds))
  return "\((million * 10).rounded() / 10) M samples/s"
}

private func perThousand(_ bytes: Int, _ samples: Int) -> Double {
  (Double(bytes) * 1000 / Double(max(1, samples))).rounded() / 1000
}
