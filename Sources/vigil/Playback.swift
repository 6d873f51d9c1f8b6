import MQTTIngress
import Recordings
import Service
import VitalModel

/// A recording or a simulated ward sent to a real broker as native messages.
enum Playback {
  /// `mqtt://host:port`, without TLS.
  static func connect(_ url: String, clientID: String) throws(CommandFailure) -> MQTTPublisher {
    let address = try address(url)
    let options = MQTTPublisher.Options(host: address.host, port: address.port, clientID: clientID)
    do throws(PublisherError) {
      return try MQTTPublisher(options, timeout: .seconds(10))
    } catch {
      throw CommandFailure(ExitCode.unavailable, "broker \(address.host):\(address.port): \(error)")
    }
  }

  private static func address(_ url: String) throws(CommandFailure) -> BrokerAddress {
    let address: BrokerAddress
    do throws(BrokerConfigurationError) {
      address = try BrokerAddress(url: url)
    } catch {
      throw CommandFailure(ExitCode.usage, "--mqtt: \(error)")
    }
    guard !address.usesTLS else {
      throw CommandFailure(
        ExitCode.usage, "--mqtt: playback speaks plain MQTT; use mqtt:// and a broker on this machine")
    }
    return address
  }

  static func publish(
    _ inputs: RecordingInputs, to url: String, _ arguments: Arguments
  ) throws(CommandFailure) -> Int32 {
    let speed = try arguments.value("--speed", as: "`max` or a number of times real time") { text -> Double? in
      text == "max" ? 0 : Double(text).flatMap { $0 > 0 && $0 <= 1_000_000 ? $0 : nil }
    }
    let publisher = try connect(url, clientID: "vigil-replay")
    let reader = inputs.reader { _ in }
    let sorter = RecordingSorter(names: reader.names)
    try inputs.forEach(reader) { row in
      sorter.add(row)
    }
    inputs.warn(reader)
    var pacer = Pacer(speed: speed ?? 0)
    let encoder = RowEncoder(registry: inputs.registry)
    var failure: PublisherError?
    var messages = 0
    try inputs.forEach(sorter) { row in
      pacer.wait(for: row.time)
      let device = reader.names.devices[row.device]
      let payload = encoder.payload(row, patient: reader.names.patients[row.patient], sources: reader.names.sources)
      do throws(PublisherError) {
        try publisher.publish(topic: "vigil/v1/\(inputs.options.tenant)/\(device)/vitals", payload: payload, qos: 1)
        messages += 1
        return true
      } catch {
        failure = error
        return false
      }
    }
    do throws(PublisherError) {
      if let failure { throw failure }
      try publisher.flush(timeout: .seconds(60))
    } catch {
      throw CommandFailure(ExitCode.unavailable, "broker: \(error)")
    }
    publisher.disconnect()
    if arguments.has("--json") {
      var out = JSONText()
      out.object {
        $0.field("messages", messages)
        $0.field("samples", reader.counts.samples)
      }
      printLine(out.text)
    } else {
      printError("published \(messages) messages, \(reader.counts.samples) samples")
    }
    return ExitCode.ok
  }
}

/// A recorded row as one native JSON message.
struct RowEncoder {
  let registry: VitalRegistry

  func payload(_ row: RecordedRow, patient: String, sources: NameTable) -> [UInt8] {
    var out = JSONText()
    out.object { out in
      if row.sequence != RecordedRow.absent { out.field("seq", Int(row.sequence)) }
      out.field("time", Timestamp.format(row.time))
      out.field("patient", patient)
      // Marks of the recording go along: synthetic data stays labelled, a correction stays one.
      if row.cells.contains(where: { $0.flags.contains(.simulated) }) { out.field("simulated", true) }
      out.array("observations") { out in
        for cell in row.cells { write(cell, sources, to: &out) }
      }
    }
    return out.bytes
  }

  private func write(_ cell: RecordedCell, _ sources: NameTable, to out: inout JSONText) {
    let vital = registry[cell.code]
    out.object { out in
      out.field("code", vital.key)
      if let letter = vital.letters.first(where: { $0.value == cell.value.mantissa }) {
        out.field("value", letter.text)
      } else {
        out.field("value", cell.value)
      }
      out.field("unit", vital.units[Int(cell.unit)].unit)
      if cell.source != 0 { out.field("source", sources[UInt32(cell.source)]) }
      if cell.status != .ok { out.field("status", cell.status.text) }
      if cell.flags.contains(.corrected) { out.field("corrected", true) }
      out.raw("quality", cell.quality.text)
    }
  }
}
