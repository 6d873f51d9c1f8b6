/// From the publisher's and the receiver's lists to latencies: publish call to webhook body read, in microseconds.
enum LiveLatency {
  /// Prints `{"expected":…,"arrived":…,"p50_us":…,"p99_us":…,"max_us":…}`; fails when an episode never arrived.
  static func run(published: String, received: String) -> Int32 {
    guard let sent = LiveLine.read(published), let heard = LiveLine.read(received) else {
      print("live-join: a list cannot be read")
      return 1
    }
    let arrivals = times(heard)
    var latencies: [Int64] = []
    for (episode, begun) in times(sent) {
      if let arrived = arrivals[episode] { latencies.append(arrived - begun) }
    }
    latencies.sort()
    func quantile(_ share: Double) -> String {
      latencies.isEmpty ? "null" : String(latencies[min(latencies.count - 1, Int(Double(latencies.count) * share))])
    }
    print(
      "{\"expected\":\(sent.count),\"arrived\":\(latencies.count),\"p50_us\":\(quantile(0.5)),"
        + "\"p99_us\":\(quantile(0.99)),\"max_us\":\(quantile(1))}")
    return latencies.count == sent.count ? 0 : 1
  }

  /// `patient onset_ms` → microseconds.
  private static func times(_ lines: [String]) -> [String: Int64] {
    var times: [String: Int64] = [:]
    for line in lines {
      let fields = line.split(separator: " ")
      guard fields.count == 3, let micros = Int64(fields[2]) else { continue }
      times["\(fields[0]) \(fields[1])"] = micros
    }
    return times
  }
}
