import Pipeline
import VitalModel

/// One observation as a native JSON message of its own, for quarantine and resubmission.
enum NativeMessage {
  static func encode(_ slot: Slot, registry: VitalRegistry, source: String) -> [UInt8] {
    let vital = registry[slot.code]
    var out = JSONText()
    out.object { out in
      if slot.flags.contains(.hasSequence) { out.field("seq", Int(slot.deviceSequence)) }
      if !slot.flags.contains(.timeReceived) { out.field("time", Timestamp.format(slot.eventTime)) }
      out.field("code", vital.key)
      if let letter = vital.letters.first(where: { $0.value == slot.mantissa }) {
        out.field("value", letter.text)
      } else {
        out.field("value", slot.value)
      }
      if vital.units.indices.contains(Int(slot.unit)) { out.field("unit", vital.units[Int(slot.unit)].unit) }
      if !source.isEmpty { out.field("source", source) }
      if slot.status != .ok { out.field("status", slot.status.text) }
      if let quality = slot.quality.text { out.raw("quality", quality) }
      if slot.flags.contains(.corrected) { out.field("corrected", true) }
      if slot.flags.contains(.simulated) { out.field("simulated", true) }
    }
    return out.bytes
  }

  /// One device alarm as a native JSON message of its own.
  static func encode(_ alarm: DeviceAlarm, at time: Int64) -> [UInt8] {
    var out = JSONText()
    out.object { out in
      out.field("time", Timestamp.format(time))
      out.field("event", alarm.event)
      out.field("phase", alarm.hasEnded ? "end" : "start")
      out.field("priority", alarm.priority.text)
    }
    return out.bytes
  }
}
