import ChunkCoding
import Glibc
import KeyValueStore
import SeriesStore
import VitalModel

/// What gathering, packing and unpacking samples costs, as CPU time of this thread, and how small they get.
///
/// Ten thousand devices' worth of one ward's rows would not fit a quick run: a hundred devices with 600 rows of four
/// values at 1 Hz, with the stamps jittered by some ms as devices do, journaled interleaved.
func chunkBenchmark(devices: Int = 100, rows: Int = 600, rounds: Int = 5) {
  let slots = chunkBenchmarkSlots(devices: devices, rows: rows)
  do {
    let logs = benchmarkLogs(slots, devices: devices, rounds: rounds)
    try benchmarkCodec(logs, rounds: rounds)
    try benchmarkSealer(slots)
  } catch {
    print("chunk: failed: \(error)")
  }
}

/// Appends alone, without the store around them.
private func benchmarkLogs(_ slots: [Slot], devices: Int, rounds: Int) -> [RowLog] {
  var best = UInt64.max
  var logs: [RowLog] = []
  for _ in 0..<rounds {
    logs = (0..<UInt32(devices)).map { RowLog(patient: $0, device: $0) }
    let start = chunkBenchmarkNanoseconds()
    for slot in slots { logs[Int(slot.device)].append(slot, position: slot.payload) }
    best = min(best, chunkBenchmarkNanoseconds() - start)
  }
  let bytes = logs.reduce(0) { $0 + $1.byteCount }
  print("chunk: row log append: \(perSample(best, slots.count)), \(perThousand(bytes, slots.count)) B/sample in memory")
  return logs
}

private func benchmarkCodec(_ logs: [RowLog], rounds: Int) throws {
  let codec = try PlainCodec()
  var unpack = UInt64.max
  var encode = UInt64.max
  var decode = UInt64.max
  var bytes = 0
  var samples = 0
  for _ in 0..<rounds {
    var start = chunkBenchmarkNanoseconds()
    let chunks = logs.map { $0.rows() }
    unpack = min(unpack, chunkBenchmarkNanoseconds() - start)
    start = chunkBenchmarkNanoseconds()
    let packed = try chunks.map { try codec.encode($0) }
    encode = min(encode, chunkBenchmarkNanoseconds() - start)
    start = chunkBenchmarkNanoseconds()
    samples = 0
    for chunk in packed { samples += try codec.decode(chunk).cellCount }
    decode = min(decode, chunkBenchmarkNanoseconds() - start)
    bytes = packed.reduce(0) { $0 + $1.count }
  }
  print("chunk: row log unpack: \(perSample(unpack, samples))")
  print("chunk: plain codec encode: \(perSample(encode, samples)), decode: \(perSample(decode, samples))")
  // The same rows without the columns of marks: what the peers' formats hold.
  let bare = try logs.map { log in
    var rows = log.rows()
    for column in rows.columns.indices {
      for (index, row) in rows.columns[column].rows.enumerated() {
        let time = rows.times[Int(row)]
        rows.columns[column].cells[index] = ChunkCell(
          value: rows.columns[column].cells[index].value, ingestTime: time)
      }
    }
    return try codec.encode(rows).count
  }.reduce(0, +)
  print("chunk: plain codec: \(perThousand(bytes, samples)) B/sample with marks, \(perThousand(bare, samples)) without")
}

/// The room as the service uses it: batches in, rounds out, on a real store.
private func benchmarkSealer(_ slots: [Slot]) throws {
  var template = Array("/tmp/vigil-chunk-XXXXXX".utf8CString)
  guard let made = mkdtemp(&template) else { return }
  let folder = String(cString: made)
  let store = try Store.open(
    path: folder + "/store", families: [SeriesFamilies.chunks, FamilySpec(SeriesFamilies.stateName)])
  let sealer = try Sealer(store: store)
  var appended: UInt64 = 0
  var sealed: UInt64 = 0
  try slots.withUnsafeBufferPointer { slots in
    for from in stride(from: 0, to: slots.count, by: 1024) {
      let batch = UnsafeBufferPointer(rebasing: slots[from..<min(from + 1024, slots.count)])
      var start = chunkBenchmarkNanoseconds()
      let isFull = sealer.append(batch)
      appended += chunkBenchmarkNanoseconds() - start
      start = chunkBenchmarkNanoseconds()
      if isFull { try sealer.seal(now: batch[0].ingestTime) }
      sealed += chunkBenchmarkNanoseconds() - start
    }
  }
  let start = chunkBenchmarkNanoseconds()
  try sealer.seal(now: 0, limit: .max, all: true)
  sealed += chunkBenchmarkNanoseconds() - start
  print("chunk: sealer append: \(perSample(appended, slots.count)), seal: \(perSample(sealed, slots.count))")
  store.close()
  for name in try namesIn(folder + "/store") { unlink(folder + "/store/" + name) }
  rmdir(folder + "/store")
  rmdir(folder)
}

private func namesIn(_ folder: String) throws -> [String] {
  guard let directory = opendir(folder) else { return [] }
  defer { closedir(directory) }
  var names: [String] = []
  while let entry = readdir(directory) {
    let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
      pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
    }
    if name != ".", name != ".." { names.append(name) }
  }
  return names
}

/// A ward's slots in journal order.
private func chunkBenchmarkSlots(devices: Int, rows: Int) -> [Slot] {
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

/// CPU time of this thread.
private func chunkBenchmarkNanoseconds() -> UInt64 {
  var time = timespec()
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
  return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}
