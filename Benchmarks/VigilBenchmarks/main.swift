print("benchmarks")
if CommandLine.arguments.dropFirst().first == "ring" {
  ringBenchmark(items: CommandLine.arguments.count > 2 ? Int(CommandLine.arguments[2]) ?? 10_000_000 : 10_000_000)
}
if CommandLine.arguments.dropFirst().first == "engine" {
  engineBenchmark(samples: CommandLine.arguments.count > 2 ? Int(CommandLine.arguments[2]) ?? 4_000_000 : 4_000_000)
}
