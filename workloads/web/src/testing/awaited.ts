/** Something that is waited for until it is told what comes of it. */
export interface Awaited<T> {
  promise: Promise<T>;
  resolve(value: T): void;
  reject(cause: unknown): void;
}

export function awaited<T>(): Awaited<T> {
  const made = {} as Awaited<T>;
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
}
