import type { AnchorHTMLAttributes } from "react";

interface Props extends AnchorHTMLAttributes<HTMLAnchorElement> {
  href: string;
  onGo(): void;
}

/** A link to another view of this page. A new tab or window is still the browser's affair. */
export function LocalLink({ onGo, ...rest }: Props) {
  return (
    <a
      {...rest}
      onClick={(event) => {
        if (event.metaKey || event.ctrlKey || event.shiftKey) return;
        event.preventDefault();
        onGo();
      }}
    />
  );
}
