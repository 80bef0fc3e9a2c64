export function greet(name) {
  const greeting = `Hello, ${name}!`;
  return greeting.toUpperCase();
}

export function unused() {
  return "never called";
}
