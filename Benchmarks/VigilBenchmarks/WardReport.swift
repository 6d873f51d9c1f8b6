import VitalModel

/// What a ward's work took.
struct WardReport {
  var patients = 0
  /// Simulated, as fast as it goes.
  var seconds = 0
  var samples = 0
  var payloadBytes = 0
  var wallSeconds = 0.0
  var cpuSeconds = 0.0
  var writtenBytes = 0
  /// In real time.
  var pacedSeconds = 0.0
  var pacedCPUSeconds = 0.0
  var pacedWrittenBytes = 0
  var idleShare: Double?
  var residentBytes = 0
  var residentBytesMax = 0
  var openBytes = 0
  var directoryBytes = 0
  /// Table files by family, everything written out.
  var families: [(name: String, bytes: Int)] = []
  var chunks = 0
  var sealedSamples = 0

  private var tableBytes: Int { families.reduce(0) { $0 + $1.bytes } }
  /// Of all samples, those in real time too.
  private var allSamples: Int { samples + Int((pacedSeconds.rounded()) * Double(patients * 4)) }

  private func bytes(of family: String) -> Double {
    let total = Double(families.first { $0.name == family }?.bytes ?? 0)
    let isSealed = family == "chunks" || family == "rollups"
    return total / Double(max(1, isSealed ? sealedSamples : allSamples))
  }

  var text: String {
    func number(_ value: Double, _ places: Int = 2) -> String { StorageReport.number(value, places) }
    func mebibytes(_ bytes: Int) -> String { number(Double(bytes) / 1_048_576, 0 + 1) }
    var lines = [
      "ward: \(patients) patients, 4 vitals at 1 Hz",
      "ward: \(seconds) s in \(number(wallSeconds, 1)) s: \(number(Double(seconds) / max(0.001, wallSeconds), 1)) times real "
        + "time; CPU \(number(cpuSeconds / Double(seconds) * 100, 1)) % of a core a simulated second "
        + "(target below 100 %), \(number(cpuSeconds * 1e6 / Double(max(1, samples)), 3)) us a sample",
    ]
    if pacedSeconds > 0 {
      lines.append(
        "ward: \(number(pacedSeconds, 1)) s in real time: CPU \(number(pacedCPUSeconds / pacedSeconds * 100, 1)) % of a "
          + "core, \(number(Double(pacedWrittenBytes) / pacedSeconds / 1e6, 2)) MB/s to disk")
    }
    if let idleShare { lines.append("ward: idle CPU \(number(idleShare * 100, 2)) % (target at most 1 %)") }
    lines.append(
      "ward: resident \(mebibytes(residentBytes)) MiB, at most \(mebibytes(residentBytesMax)) MiB (target at most 400 MiB); "
        + "open rows \(mebibytes(openBytes)) MiB")
    lines.append(
      "ward: \(sealedSamples) samples sealed in \(chunks) chunks, \(number(Double(sealedSamples) / Double(max(1, chunks)), 0 + 1)) each"
    )
    for family in families {
      lines.append(
        "ward: \(family.name): \(mebibytes(family.bytes)) MiB, \(number(bytes(of: family.name), 4)) B/sample"
          + (family.name == "chunks" || family.name == "rollups" ? " sealed" : ""))
    }
    lines.append(
      "ward: to disk \(number(Double(writtenBytes) / Double(max(1, samples)))) B/sample: "
        + "\(number(Double(writtenBytes) / Double(max(1, payloadBytes)))) times the payloads, "
        + "\(number(Double(writtenBytes + pacedWrittenBytes) / Double(max(1, tableBytes)))) times what the tables hold")
    return lines.joined(separator: "\n")
  }

  var json: String {
    var out = JSONText()
    out.object {
      $0.field("patients", patients)
      $0.field("seconds", seconds)
      $0.field("samples", samples)
      $0.field("payload_bytes", payloadBytes)
      $0.field("wall_s", wallSeconds)
      $0.field("cpu_s", cpuSeconds)
      $0.field("cpu_share", cpuSeconds / Double(max(1, seconds)))
      $0.field("written_bytes", writtenBytes)
      if pacedSeconds > 0 {
        $0.field("paced_s", pacedSeconds)
        $0.field("paced_cpu_share", pacedCPUSeconds / pacedSeconds)
        $0.field("paced_written_bytes", pacedWrittenBytes)
      }
      $0.field("idle_cpu_share", idleShare)
      $0.field("resident_bytes", residentBytes)
      $0.field("resident_bytes_max", residentBytesMax)
      $0.field("open_chunk_bytes", openBytes)
      $0.field("directory_bytes", directoryBytes)
      $0.field("chunks", chunks)
      $0.field("sealed_samples", sealedSamples)
      $0.object("families") { out in
        for family in families {
          out.object(family.name) {
            $0.field("bytes", family.bytes)
            $0.field("bytes_per_sample", bytes(of: family.name))
          }
        }
      }
    }
    return out.text
  }
}
